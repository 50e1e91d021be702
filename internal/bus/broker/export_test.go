package broker

// Scrub looks through all blocks, as it happens once an hour.
func (s *Server) Scrub() { s.keeper.scrub(true) }
