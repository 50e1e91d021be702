package timers

// HeapLen returns the size of the heap, leftovers included.
func HeapLen(x *Index) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.heap)
}
