package bus

import (
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
)

// workers lends its goroutines to handlers. The router starts a new goroutine
// for every message, whose stack has to grow, by copying, each time a command
// is carried out; these have grown already. When all are busy the handler runs
// where it is, so nothing ever waits for a worker.
type workers struct {
	jobs chan *job
	done sync.WaitGroup
}

type job struct {
	handler  message.HandlerFunc
	message  *message.Message
	err      error
	finished chan struct{} // of capacity 1, so that it can be used again
}

var jobs = sync.Pool{New: func() any { return &job{finished: make(chan struct{}, 1)} }}

func startWorkers(n int) *workers {
	w := &workers{jobs: make(chan *job)}
	for range n {
		w.done.Go(w.work)
	}
	return w
}

// stop waits for the workers; no handler may run any more.
func (w *workers) stop() {
	close(w.jobs)
	w.done.Wait()
}

func (w *workers) work() {
	for j := range w.jobs {
		_, j.err = j.handler(j.message)
		j.finished <- struct{}{}
	}
}

// middleware must have the one that recovers from panics inside it.
func (w *workers) middleware(next message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		j := jobs.Get().(*job)
		j.handler, j.message = next, m
		select {
		case w.jobs <- j:
			<-j.finished
			err := j.err
			j.handler, j.message, j.err = nil, nil, nil
			jobs.Put(j)
			return nil, err
		default:
			jobs.Put(j)
			return next(m)
		}
	}
}
