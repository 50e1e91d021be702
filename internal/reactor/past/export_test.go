package past

// Size is what is kept, in bytes.
func (c *Conversations) Size() int { return c.size }
