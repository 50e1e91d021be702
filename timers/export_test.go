package timers

// Slots returns how many slots were ever needed at once.
func Slots(x *Index) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.slots.all)
}
