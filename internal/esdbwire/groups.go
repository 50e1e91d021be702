package esdbwire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// maxGroups bounds the groups of a database.
const maxGroups = 1000

// groups are the persistent subscriptions of a database. What they are, how far they
// have come and what was put aside stands in the log; they run here, each from the
// first consumer on until it is changed or the server ends. Two servers that run a
// group on one log share it twice.
type groups struct {
	*database
	ctx   context.Context // of those that run
	close context.CancelCauseFunc
	work  sync.WaitGroup

	changing sync.Mutex // held while the list, or who runs, changes
	mu       sync.Mutex
	running  map[groupName]*group
}

func newGroups(d *database) *groups {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &groups{database: d, ctx: ctx, close: cancel, running: map[groupName]*group{}}
}

// stop ends all groups and waits for them.
func (g *groups) stop() {
	g.close(store.ErrClosed)
	g.changing.Lock() // nobody begins now
	defer g.changing.Unlock()
	g.work.Wait()
}

// list reads the groups that there are, and the revision at which they stand.
func (g *groups) list(ctx context.Context) (list []groupConfig, at store.Revision, err error) {
	r, err := g.last(ctx, groupsStream)
	if r == nil || err != nil {
		return nil, store.NoStream, err
	}
	if err := json.Unmarshal(r.data, &list); err != nil {
		return nil, 0, fmt.Errorf("groups at %d: %w", r.revision, err)
	}
	return list, store.Revision(r.revision), nil
}

// last returns the last event that may be seen of a stream of others; nil: none.
func (d *database) last(ctx context.Context, stream string) (*record, error) {
	s, err := d.state(ctx, stream)
	if err != nil || s.first() > s.last {
		return nil, err
	}
	for e, err := range d.log.ReadStream(ctx, d.stored(stream), s.last, store.Forwards) {
		if err != nil {
			return nil, err
		}
		r, err := shown(&e)
		return &r, err
	}
	return nil, nil
}

// find returns a group as it is kept.
func (g *groups) find(ctx context.Context, name groupName) (*groupConfig, error) {
	list, _, err := g.list(ctx)
	if err != nil {
		return nil, err
	}
	if i := index(list, name); i >= 0 {
		return &list[i], nil
	}
	return nil, groupMissing(name)
}

func index(list []groupConfig, name groupName) int {
	return slices.IndexFunc(list, func(c groupConfig) bool { return c.groupName == name })
}

// change replaces the list of groups. The caller holds changing.
func (g *groups) change(ctx context.Context, f func([]groupConfig) ([]groupConfig, error)) error {
	for range maxTries {
		list, at, err := g.list(ctx)
		if err != nil {
			return err
		}
		if list, err = f(list); err != nil {
			return err
		}
		data, err := json.Marshal(list)
		if err != nil {
			return err
		}
		_, err = g.write(ctx, groupsStream, expectation{revision: at}, []proposed{groupEvent(groupsType, data)})
		if moved := new(wrongVersion); !errors.As(err, &moved) {
			return err
		}
	}
	return fmt.Errorf("groups: %d conflicts in a row: %w", maxTries, store.ErrUnavailable)
}

// groupEvent is an event that a group keeps.
func groupEvent(kind string, data []byte) proposed {
	return proposed{id: events.ID(uuid.New()), kind: kind, contentType: contentTypeJSON, data: data}
}

func (g *groups) create(ctx context.Context, c groupConfig) error {
	g.changing.Lock()
	defer g.changing.Unlock()
	return g.change(ctx, func(list []groupConfig) ([]groupConfig, error) {
		if index(list, c.groupName) >= 0 {
			return nil, groupExists(c.groupName)
		}
		for _, other := range list {
			if other.String() == c.String() {
				return nil, badRequest("group %.60q of %.60q would be kept where group %.60q of %.60q is", c.Group, c.Stream, other.Group, other.Stream)
			}
		}
		if len(list) >= maxGroups {
			return nil, badRequest("there are %d groups", maxGroups)
		}
		g.end(c.groupName)
		return append(list, c), g.forget(ctx, c.groupName)
	})
}

// A group ends before the list changes, not after: whether a write that failed has
// happened is not known, and what runs must not be of another list than what is kept.
// Nobody begins meanwhile.

// update gives a group other settings. Its consumers are dropped, and it goes on
// where it was.
func (g *groups) update(ctx context.Context, name groupName, set func(c *groupConfig) error) error {
	g.changing.Lock()
	defer g.changing.Unlock()
	return g.change(ctx, func(list []groupConfig) ([]groupConfig, error) {
		i := index(list, name)
		if i < 0 {
			g.end(name)
			return nil, groupMissing(name)
		}
		if err := set(&list[i]); err != nil {
			return nil, err
		}
		g.end(name)
		return list, nil
	})
}

func (g *groups) delete(ctx context.Context, name groupName) error {
	g.changing.Lock()
	defer g.changing.Unlock()
	err := g.change(ctx, func(list []groupConfig) ([]groupConfig, error) {
		i := index(list, name)
		g.end(name)
		if i < 0 {
			return nil, groupMissing(name)
		}
		return slices.Delete(list, i, i+1), nil
	})
	if err != nil {
		return err
	}
	return g.forget(ctx, name)
}

// forget hides what a group kept. It comes before the group too: an earlier one of its
// name may have ended half deleted.
func (g *groups) forget(ctx context.Context, name groupName) error {
	for _, stream := range []string{name.checkpoint(), name.parked()} {
		s, err := g.state(ctx, stream)
		if err == nil && s.first() <= s.last {
			err = g.setMetadata(ctx, stream, s, math.MaxInt64)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// run returns a group that runs.
func (g *groups) run(ctx context.Context, name groupName) (*group, error) {
	if one := g.one(name); one != nil {
		return one, nil
	}
	g.changing.Lock()
	defer g.changing.Unlock()
	if one := g.one(name); one != nil {
		return one, nil
	}
	if g.ctx.Err() != nil {
		return nil, context.Cause(g.ctx)
	}
	c, err := g.find(ctx, name)
	if err != nil {
		return nil, err
	}
	one, err := g.newGroup(ctx, c)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.running[name] = one
	g.mu.Unlock()
	g.work.Go(func() {
		one.run()
		g.mu.Lock()
		if g.running[name] == one {
			delete(g.running, name)
		}
		g.mu.Unlock()
		close(one.ended)
	})
	return one, nil
}

// one returns a group if it runs.
func (g *groups) one(name groupName) *group {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running[name]
}

// end drops a group's consumers and waits until it runs no more.
func (g *groups) end(name groupName) {
	if one := g.one(name); one != nil {
		one.cancel(groupDropped(name))
		<-one.ended
	}
}

// restart ends all groups; each begins again with its next consumer.
func (g *groups) restart() {
	g.changing.Lock()
	defer g.changing.Unlock()
	g.mu.Lock()
	var names []groupName
	for name := range g.running {
		names = append(names, name)
	}
	g.mu.Unlock()
	for _, name := range names {
		g.end(name)
	}
}
