// Package lease lets one of several processes do what only one should do at a
// time, and divides work among them.
//
// Leases are entries of a key-value bucket on the broker that expire unless their
// holder renews them: the broker's clock judges. A holder that cannot renew gives
// up before the entry is gone. Still, a process that was frozen may go on for a
// moment beside its successor, so nothing that must not happen twice may depend
// on a lease.
package lease

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bucket is where leases are.
const Bucket = "PARLEY_LEASES"

// DefaultLife is how long a lease lives that is not renewed.
const DefaultLife = 3 * time.Second

// Options are settings; the zero value of each field but Node works.
type Options struct {
	Node     string        // this process: letters, digits, - and _; no two the same
	Bucket   string        // default Bucket
	Life     time.Duration // the same in all processes; default DefaultLife
	Replicas int           // of the bucket, in a cluster of brokers; default 1
	Logger   *slog.Logger  // nil: discard
}

// Leases are what this process holds or waits for. They are safe for concurrent
// use and start no goroutines but within Hold and Share.
type Leases struct {
	js     jetstream.JetStream
	bucket jetstream.KeyValue
	opts   Options
}

// Open makes the bucket if it is missing. The connection stays the caller's.
func Open(ctx context.Context, nc *nats.Conn, o Options) (*Leases, error) {
	o.Bucket = cmp.Or(o.Bucket, Bucket)
	o.Life = cmp.Or(o.Life, DefaultLife)
	o.Replicas = cmp.Or(o.Replicas, 1)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open leases: %w", err)
	}
	l := &Leases{js: js, opts: o}
	if l.bucket, err = l.provide(ctx); err != nil {
		return nil, fmt.Errorf("open leases: %w", err)
	}
	return l, nil
}

// provide makes the bucket if it is missing. It is in memory: a lease that outlived
// its broker would be of no use.
func (l *Leases) provide(ctx context.Context) (jetstream.KeyValue, error) {
	return l.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: l.opts.Bucket, Description: "who does what only one may do at a time", History: 1,
		TTL: l.opts.Life, Storage: jetstream.MemoryStorage, Replicas: l.opts.Replicas,
	})
}

// beat is the pause between two renewals, and between two attempts.
func (l *Leases) beat() time.Duration { return l.opts.Life / 3 }

// Hold runs do whenever this process holds the lease of that name. The context of
// do ends when the lease is lost; a do that returns without an error is run again.
// Hold returns nil when ctx has ended, or the error of do, and then the lease is
// free at once.
func (l *Leases) Hold(ctx context.Context, name string, do func(ctx context.Context) error) error {
	for ctx.Err() == nil {
		t, err := l.take(ctx, leased+name)
		if err != nil {
			l.complain(ctx, name, err)
		}
		if t != nil {
			l.opts.Logger.Info("lease taken", "lease", name)
			if err := t.run(ctx, do); err != nil {
				return err
			}
			l.opts.Logger.Info("lease given up", "lease", name)
		}
		pause(ctx, l.beat())
	}
	return nil
}

// complain says that leases are out of reach, and makes the bucket again: a broker
// that restarted has it no more.
func (l *Leases) complain(ctx context.Context, name string, err error) {
	if ctx.Err() != nil {
		return
	}
	l.opts.Logger.Warn("lease is out of reach", "lease", name, "err", err)
	ctx, cancel := context.WithTimeout(ctx, l.opts.Life)
	defer cancel()
	if _, err := l.provide(ctx); err != nil {
		l.opts.Logger.Debug("leases could not be made again", "err", err)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// tenure is one lease while it is held.
type tenure struct {
	leases   *Leases
	key      string
	revision uint64
	renewed  time.Time // before the renewal was sent, so on the safe side
}

// take returns a tenure, or nil when somebody else has the lease.
func (l *Leases) take(ctx context.Context, key string) (*tenure, error) {
	ctx, cancel := context.WithTimeout(ctx, l.opts.Life)
	defer cancel()
	begun := time.Now()
	revision, err := l.bucket.Create(ctx, key, []byte(l.opts.Node))
	if errors.Is(err, jetstream.ErrKeyExists) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &tenure{leases: l, key: key, revision: revision, renewed: begun}, nil
}

// run runs do until it returns, the lease is lost or ctx ends, and gives the lease
// back if it is still ours.
func (t *tenure) run(ctx context.Context, do func(context.Context) error) error {
	within, lost := context.WithCancel(ctx)
	defer lost()
	done := make(chan error, 1)
	go func() { done <- do(within) }()
	beat := time.NewTicker(t.leases.beat())
	defer beat.Stop()
	for {
		select {
		case err := <-done:
			t.giveBack(ctx)
			return err
		case <-beat.C:
			if t.revision != 0 && !t.renew(ctx) {
				t.revision = 0
				lost()
			}
		}
	}
}

// renew reports whether the lease is still held. A broker that does not answer is
// given time as long as the entry cannot be gone.
func (t *tenure) renew(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.leases.beat())
	defer cancel()
	begun := time.Now()
	revision, err := t.leases.bucket.Update(ctx, t.key, []byte(t.leases.opts.Node), t.revision)
	if err == nil {
		t.revision, t.renewed = revision, begun
		return true
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return false // the broker has another entry, or none
	}
	return time.Since(t.renewed) < t.leases.opts.Life-t.leases.beat()
}

func (t *tenure) giveBack(ctx context.Context) {
	if t.revision == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.leases.opts.Life)
	defer cancel()
	if err := t.leases.bucket.Delete(ctx, t.key, jetstream.LastRevision(t.revision)); err != nil {
		t.leases.opts.Logger.Debug("lease was not given back; it expires", "key", t.key, "err", err)
	}
}
