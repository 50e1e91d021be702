package competing

// track is how far the messages of a source are done.
type track struct {
	open []*Message // from the first that is not done on
	last *Message   // the last done before that; nil: none
	n    int        // done since it was saved
}

func (t *track) add(m *Message) {
	t.open = append(t.open, m)
	t.settle()
}

func (t *track) settle() {
	for len(t.open) > 0 && t.open[0].state == done {
		t.last = t.open[0]
		t.open[0] = nil
		t.open = t.open[1:]
		t.n++
	}
}

// Done returns the last message of a source that is done with all before it, nil when
// there is none, and how many are since Saved.
func (q *Queue) Done(s Source) (last *Message, n int) { return q.tracks[s].last, q.tracks[s].n }

// Saved says that so much was saved.
func (q *Queue) Saved(s Source) { q.tracks[s].n = 0 }

// Open is how many messages of a source came and are not done, or are behind such.
func (q *Queue) Open(s Source) int { return len(q.tracks[s].open) }
