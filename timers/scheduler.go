package timers

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/robfig/cron/v3"
)

// Fire looks at one conversation whose instant came up, advances it if a timer
// is due by now, and returns the next instant at which it could be due; ok is
// false when there is nothing to wait for. The next instant must be after due.
//
// due is the instant the entry was filed at, zero for a mere look. Fire is
// called from several goroutines, for different conversations, and may be
// called again with what it has seen before: after an error, after a restart,
// by another node.
type Fire func(ctx context.Context, conversation string, due time.Time) (next time.Time, ok bool, err error)

// Options of a Scheduler. Every zero value works.
type Options struct {
	Logger   *slog.Logger  // nil: discard
	Parallel int           // conversations fired at once; 0: 8
	Batch    int           // entries taken from the index at a time; 0: 256
	Retry    time.Duration // wait after the first failure of a conversation, doubled each time; 0: 1 s
	RetryMax time.Duration // the longest wait; 0: 1 min
}

// tick is how often the index is swept. Timers are precise to a second.
const tick = "@every 1s"

// Scheduler sweeps an Index once a second. It is safe for concurrent use.
type Scheduler struct {
	index   *Index
	fire    Fire
	options Options
	log     *slog.Logger

	sweeping sync.Mutex         // one sweep at a time; guards failing and batch
	failing  map[string]failure // conversations taken out of the index by an error
	batch    []Entry            // reused between batches

	counters counters
}

// NewScheduler returns a Scheduler over the index; nil options are fine. It
// does nothing until Run or Sweep is called.
func NewScheduler(index *Index, fire Fire, options *Options) *Scheduler {
	s := &Scheduler{index: index, fire: fire, failing: make(map[string]failure)}
	if options != nil {
		s.options = *options
	}
	orDefault(&s.options.Parallel, 8)
	orDefault(&s.options.Batch, 256)
	orDefault(&s.options.Retry, time.Second)
	orDefault(&s.options.RetryMax, time.Minute)
	s.log = s.options.Logger
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

func orDefault[T int | time.Duration](option *T, value T) {
	if *option <= 0 {
		*option = value
	}
}

// Run sweeps every second until the context ends, waits for the sweep that is
// running, and returns nil. A tick that finds the former sweep still running is
// skipped; a panic in a sweep is logged and the next tick sweeps again.
//
// The order of the two wrappers matters: in cron 3.0.1 a panic that passes
// through SkipIfStillRunning takes its token away, and nothing runs any more.
func (s *Scheduler) Run(ctx context.Context) error {
	logger := cronLogger{s.log}
	c := cron.New(cron.WithLocation(time.UTC), cron.WithLogger(logger),
		cron.WithChain(cron.SkipIfStillRunning(logger), cron.Recover(logger)))
	if _, err := c.AddFunc(tick, func() { s.Sweep(ctx, time.Now()) }); err != nil {
		return fmt.Errorf("schedule timers: %w", err)
	}
	c.Start()
	<-ctx.Done()
	<-c.Stop().Done()
	return nil
}

// cronLogger lets cron write to slog; what it calls info is one line a second.
type cronLogger struct{ log *slog.Logger }

func (l cronLogger) Info(msg string, pairs ...any) {
	l.log.Debug("cron", append([]any{"event", msg}, pairs...)...)
}

func (l cronLogger) Error(err error, msg string, pairs ...any) {
	l.log.Error("cron", append([]any{"event", msg, "err", err}, pairs...)...)
}
