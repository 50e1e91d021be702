package lease

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// present is the prefix of the keys by which processes know of each other.
const present = "node."

// leased is the prefix of the keys of leases.
const leased = "lease."

// Share runs do for this process's part of the names: as many as any other
// process that shares them has, one more or less. When a process comes or goes
// the parts change: the context of a do ends, and when it has returned, another
// process begins. Share returns nil when ctx has ended and every do has returned,
// or the first error of a do.
func (l *Leases) Share(ctx context.Context, names []string, do func(ctx context.Context, name string) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &share{leases: l, names: names, do: do, fail: cancel, held: map[string]context.CancelFunc{}}
	for ctx.Err() == nil {
		if err := s.balance(ctx); err != nil {
			l.complain(ctx, "share", err)
		}
		pause(ctx, l.beat())
	}
	s.running.Wait()
	s.leave()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// share is one call of Share.
type share struct {
	leases  *Leases
	names   []string
	do      func(context.Context, string) error
	fail    context.CancelCauseFunc
	running sync.WaitGroup
	members []string // as of the last look

	mu   sync.Mutex
	held map[string]context.CancelFunc
}

// balance says that we are here, and takes or gives up what makes our part right.
func (s *share) balance(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, s.leases.opts.Life)
	defer cancel()
	node := s.leases.opts.Node
	if _, err := s.leases.bucket.Put(limited, present+node, nil); err != nil {
		return err
	}
	members, taken, err := s.leases.look(limited)
	if err != nil {
		return err
	}
	part := Part(members, node, len(s.names))
	if !slices.Equal(members, s.members) {
		s.leases.opts.Logger.Info("share changed", "members", members, "part", part, "of", len(s.names))
		s.members = members
	}
	for _, name := range s.surplus(part) {
		s.end(name)
	}
	for _, name := range s.wanted(taken) {
		if s.holding() >= part {
			break
		}
		if err := s.try(ctx, limited, name); err != nil {
			return err
		}
	}
	return nil
}

// look returns the processes that are there, in order, and the leases that somebody
// has. It is one question for all of them: asking for each lease took so long on a busy
// machine that a process seemed to be gone meanwhile.
func (l *Leases) look(ctx context.Context) (members []string, taken map[string]bool, err error) {
	keys, err := l.bucket.ListKeysFiltered(ctx, present+"*", leased+"*")
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, nil, err
	}
	taken = map[string]bool{}
	if keys == nil {
		return nil, taken, nil
	}
	for key := range keys.Keys() {
		if name, is := strings.CutPrefix(key, leased); is {
			taken[name] = true
		} else {
			members = append(members, strings.TrimPrefix(key, present))
		}
	}
	slices.Sort(members)
	return slices.Compact(members), taken, ctx.Err()
}

// Part is how many of n names the node has when all members share them.
func Part(members []string, node string, n int) int {
	rank, there := slices.BinarySearch(members, node)
	if !there {
		return 0
	}
	part := n / len(members)
	if rank < n%len(members) {
		part++
	}
	return part
}

func (s *share) holding() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held)
}

// surplus are the names to give up: those we would choose last.
func (s *share) surplus(part int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var held []string
	for _, name := range s.chosen() {
		if _, ours := s.held[name]; ours {
			held = append(held, name)
		}
	}
	return held[min(part, len(held)):]
}

// wanted are the names that nobody has, those we would choose first.
func (s *share) wanted(taken map[string]bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(s.chosen(), func(name string) bool { _, ours := s.held[name]; return ours || taken[name] })
}

// chosen is the order in which this process takes names. Each process has its own,
// so that they seldom want the same, and the same names at every start.
func (s *share) chosen() []string {
	weigh := func(name string) uint64 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(s.leases.opts.Node + "/" + name)) // never fails
		return h.Sum64()
	}
	names := slices.Clone(s.names)
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(weigh(a), weigh(b)) })
	return names
}

func (s *share) end(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.held[name]; cancel != nil {
		cancel()
	}
}

// try takes a name if nobody has it. ctx is that of the work.
func (s *share) try(ctx, limited context.Context, name string) error {
	t, err := s.leases.take(limited, leased+name)
	if t == nil || err != nil {
		return err
	}
	within, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	s.held[name] = cancel
	s.mu.Unlock()
	s.running.Go(func() {
		defer cancel()
		err := t.run(within, func(ctx context.Context) error { return s.do(ctx, name) })
		s.mu.Lock()
		delete(s.held, name)
		s.mu.Unlock()
		if err != nil {
			s.fail(err)
		}
	})
	return nil
}

// leave lets the others know at once that we are gone.
func (s *share) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), s.leases.beat()+time.Second)
	defer cancel()
	if err := s.leases.bucket.Delete(ctx, present+s.leases.opts.Node); err != nil {
		s.leases.opts.Logger.Debug("departure was not announced; it shows by itself", "err", err)
	}
}
