package pubsub

import "sync"

// Lanes serialises tasks by key. Subscribers that share a Lanes share its
// order: a key is busy for all of them. The zero value is not usable; see
// NewLanes. It is safe for concurrent use.
type Lanes struct {
	mu    sync.Mutex
	lanes map[string]*lane // present while a task of the key runs
	depth int              // tasks running or waiting
}

type lane struct{ waiting []task }

// A task occupies its lane until run returns.
type task interface{ run() }

// NewLanes returns Lanes in which nothing runs.
func NewLanes() *Lanes { return &Lanes{lanes: make(map[string]*lane)} }

// Depth returns how many messages run or wait, and in how many lanes.
func (l *Lanes) Depth() (messages, lanes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.depth, len(l.lanes)
}

// enter runs the task at once on a goroutine of its own when the key is free,
// else behind the tasks that entered before.
func (l *Lanes) enter(key string, t task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.depth++
	if busy, ok := l.lanes[key]; ok {
		busy.waiting = append(busy.waiting, t)
		return
	}
	fresh := &lane{}
	l.lanes[key] = fresh
	go l.work(key, fresh, t)
}

// work lives as long as the lane is busy. Its tasks count themselves in their
// subscription, which is what a stop waits for.
func (l *Lanes) work(key string, of *lane, t task) {
	for t != nil {
		t.run()
		t = l.next(key, of)
	}
}

func (l *Lanes) next(key string, of *lane) task {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.depth--
	if len(of.waiting) == 0 {
		delete(l.lanes, key)
		return nil
	}
	t := of.waiting[0]
	of.waiting[0] = nil
	of.waiting = of.waiting[1:]
	return t
}
