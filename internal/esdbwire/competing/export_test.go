package competing

// DueTimes is how many due times a queue keeps.
func DueTimes(q *Queue) int { return len(q.deadlines) }
