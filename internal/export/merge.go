package export

import "container/heap"

// queue has the lot whose next row comes first in the log in front.
type queue []*reader

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	a, b := &q[i].head, &q[j].head
	return a.Position < b.Position || a.Position == b.Position && a.PositionPrepare < b.PositionPrepare
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*reader)) } //nolint:forcetypeassert // is what there is
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// merge calls do for the rows of all readers, in the order of the log.
func merge(readers []*reader, do func(r *record) error) error {
	var q queue
	for _, r := range readers {
		there, err := r.next()
		if err != nil {
			return err
		}
		if there {
			q = append(q, r)
		}
	}
	heap.Init(&q)
	for len(q) > 0 {
		if err := do(&q[0].head); err != nil {
			return err
		}
		there, err := q[0].next()
		if err != nil {
			return err
		}
		if !there {
			heap.Pop(&q)
			continue
		}
		heap.Fix(&q, 0)
	}
	return nil
}
