package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// IdempotencyWindow is how many commands back, per aggregate, a repeated command
// is recognised. It is part of the folded state, so a restart forgets nothing.
const IdempotencyWindow = 1024

// snapshotAfter is the number of folded events that makes a miss costly enough
// to leave a snapshot behind.
const snapshotAfter = 1000

// tracked is an aggregate's state together with the commands that led to it.
type tracked[S any] struct {
	State  S
	Recent map[events.ID]done
	Order  []events.ID // oldest first
}

// done is what is remembered of a command that wrote something.
type done struct {
	Hash        string
	First, Last store.Revision
	Position    events.Position
}

type folded[S any] = store.Folded[tracked[S]]

// aggregates are all aggregates of one kind. A state is touched only by who is
// in its stream's lane.
type aggregates[S any] struct {
	category  string
	evolve    func(S, events.Event) S
	size      func(S) int // folded entries, for the cache
	log       store.StreamLog
	lanes     *lanes
	cache     *cache[S]
	shared    bool      // others write to the log as well
	snapshots Snapshots // nil: none
	schema    string
}

// visit enters the aggregate's lane and hands over its state. What the visitor
// returns is kept, unless it failed in a way that leaves the state unknown.
func (a *aggregates[S]) visit(ctx context.Context, id string, visitor func(stream string, at folded[S]) (folded[S], error)) error {
	stream := events.Stream(a.category, id)
	leave, err := a.lanes.enter(ctx, stream)
	if err != nil {
		return err
	}
	defer leave()
	at, old, cached := a.cache.take(stream)
	switch {
	case !cached:
		at, err = a.load(ctx, stream)
	case old:
		at, err = store.CatchUp(ctx, a.log, stream, at, a.fold)
	}
	if err != nil {
		return err
	}
	before := at.Revision
	next, err := visitor(stream, at)
	// What does not exist is not kept: whoever asks for made-up names would push
	// out what is in use.
	if (err == nil || stateIsKnown(err)) && next.Revision != store.NoStream {
		a.cache.put(stream, next, 1+a.size(next.State.State)+len(next.State.Order)/4, next.Revision != before)
	}
	return err
}

// stateIsKnown tells answers from accidents.
func stateIsKnown(err error) bool {
	var refusal *domain.Refusal
	var failure *Failure
	var needed *claimsNeeded
	return errors.As(err, &refusal) || errors.As(err, &failure) || errors.As(err, &needed)
}

// mayNot tells refusals of who asks from those of what is asked.
func mayNot(err error) bool {
	var refusal *domain.Refusal
	return errors.As(err, &refusal) && refusal.Kind == domain.PermissionDenied
}

// view returns the state as the log has it now. The state must not be changed
// and not be kept beyond look.
func (a *aggregates[S]) view(ctx context.Context, id string, look func(S)) error {
	return a.visit(ctx, id, func(stream string, at folded[S]) (folded[S], error) {
		at, err := store.CatchUp(ctx, a.log, stream, at, a.fold)
		if err == nil {
			look(at.State.State)
		}
		return at, err
	})
}

// glance is view without asking the log for news: for what changes rarely and
// is not decisive. Many may look at the same state, so the lane is entered only
// when somebody has the state out or nobody has read it yet.
func (a *aggregates[S]) glance(ctx context.Context, id string, look func(S)) error {
	if a.cache.show(events.Stream(a.category, id), func(at folded[S]) { look(at.State.State) }) {
		return nil
	}
	return a.visit(ctx, id, func(_ string, at folded[S]) (folded[S], error) {
		look(at.State.State)
		return at, nil
	})
}

// load folds a stream from its snapshot, if there is one, or from the start.
func (a *aggregates[S]) load(ctx context.Context, stream string) (folded[S], error) {
	begin := a.snapshot(ctx, stream)
	at, err := store.CatchUp(ctx, a.log, stream, begin, a.fold)
	if err != nil {
		return at, err
	}
	if a.snapshots != nil && at.Revision-begin.Revision > snapshotAfter {
		if data, err := json.Marshal(at); err == nil {
			a.snapshots.Save(ctx, stream, a.schema, data)
		}
	}
	return at, nil
}

// snapshot returns what was saved of a stream under today's schema. Anything
// wrong with it is as good as none: the log is the truth.
func (a *aggregates[S]) snapshot(ctx context.Context, stream string) folded[S] {
	beginning := folded[S]{Revision: store.NoStream}
	if a.snapshots == nil {
		return beginning
	}
	data, found := a.snapshots.Load(ctx, stream, a.schema)
	if !found {
		return beginning
	}
	var at folded[S]
	if err := json.Unmarshal(data, &at); err != nil || !a.has(ctx, stream, at) {
		return beginning
	}
	return at
}

// has reports whether the log has the event that the state was folded up to. A
// log that was restored from a backup may be behind its snapshots, or have gone
// another way since.
func (a *aggregates[S]) has(ctx context.Context, stream string, at folded[S]) bool {
	for recorded, err := range a.log.ReadStream(ctx, stream, at.Revision, store.Forwards) {
		before, known := at.State.Recent[recorded.Metadata.CommandID]
		return err == nil && recorded.Position == at.Position &&
			(recorded.Metadata.CommandID.IsZero() || known && before.Last == at.Revision)
	}
	return false
}

// fold is evolve plus the memory of commands.
func (a *aggregates[S]) fold(t tracked[S], event events.Event, recorded events.Recorded) tracked[S] {
	t.State = a.evolve(t.State, event)
	id := recorded.Metadata.CommandID
	if id.IsZero() {
		return t
	}
	if t.Recent == nil {
		t.Recent = map[events.ID]done{}
	}
	revision := store.Revision(recorded.Revision)
	d, known := t.Recent[id]
	if !known {
		d = done{Hash: recorded.Metadata.CommandHash, First: revision}
		t.Order = append(t.Order, id)
	}
	d.Last, d.Position = revision, recorded.Position
	t.Recent[id] = d
	if len(t.Order) > IdempotencyWindow {
		delete(t.Recent, t.Order[0])
		t.Order = t.Order[1:]
	}
	return t
}

// decision is how one command is decided on one kind of aggregate.
type decision[S any] struct {
	decide func(S) ([]events.Event, error)
	claims func(S, []events.Event) []claim // nil: the aggregate claims nothing
	made   func(id string, es []events.Event) (sid string, index *int64)
}

// transact runs one command in the aggregate's lane.
func (a *aggregates[S]) transact(ctx context.Context, r *request, id string, d decision[S]) (Outcome, error) {
	var outcome Outcome
	err := a.visit(ctx, id, func(stream string, at folded[S]) (folded[S], error) {
		var decided []events.Event
		var repeated *done
		after, appended, err := a.decideOn(context.WithoutCancel(ctx), stream, at, func(at folded[S]) ([]store.Change, error) {
			decided, repeated = nil, nil
			if before, again := at.State.Recent[r.ID]; again {
				repeated = &before
				return nil, sameBody(r, before)
			}
			if err := r.begin(); err != nil {
				return nil, err
			}
			es, err := d.decide(at.State.State)
			if mayNot(err) {
				return nil, err // and does not learn the revision either
			}
			if r.rehearsal {
				return nil, errPermitted
			}
			if err := r.expects(at.Revision); err != nil {
				return nil, err
			}
			if err != nil || len(es) == 0 {
				return nil, err
			}
			if err := r.secured(stream, at.Revision, claimsOf(d, at.State.State, es)); err != nil {
				return nil, err
			}
			decided = es
			return r.changes(es)
		})
		if err != nil {
			return after, err
		}
		if appended != nil {
			if repeated, err = a.otherDeciding(r, after, *appended); err != nil {
				return after, err
			}
		}
		outcome = Outcome{CommandID: r.ID, Aggregate: id, Revision: int64(after.Revision), Position: after.Position, Events: []string{}}
		if repeated != nil {
			decided, err = a.recall(ctx, r, stream, *repeated)
			outcome.Revision, outcome.Position, outcome.Repeated = int64(repeated.Last), repeated.Position, true
		}
		outcome.tell(id, decided, d.made)
		return after, err
	})
	return outcome, err
}

// decideOn is store.Transact that trusts a state from memory only as far as the
// log confirms it. An append is confirmed by its expected revision. A decision
// that writes nothing is confirmed by looking for news, where others could have
// written.
func (a *aggregates[S]) decideOn(ctx context.Context, stream string, at folded[S], decide func(folded[S]) ([]store.Change, error)) (folded[S], *store.Appended, error) {
	after, repeated, err := store.Transact(ctx, a.log, stream, at, a.fold, decide)
	if !a.shared || repeated != nil || after.Revision != at.Revision || err != nil && !stateIsKnown(err) {
		return after, repeated, err
	}
	newer, readErr := store.CatchUp(ctx, a.log, stream, after, a.fold)
	if readErr != nil {
		return newer, nil, readErr
	}
	if newer.Revision == after.Revision {
		return newer, nil, err
	}
	return store.Transact(ctx, a.log, stream, newer, a.fold, decide)
}

// otherDeciding finds out what the log has in place of what was just decided: the
// same command, done by another process or in a call whose outcome got lost.
func (a *aggregates[S]) otherDeciding(r *request, after folded[S], appended store.Appended) (*done, error) {
	before, known := after.State.Recent[r.ID]
	if !known {
		return nil, fmt.Errorf("command %s is in the log up to revision %d and not in what it led to", r.ID, appended.Revision)
	}
	return &before, sameBody(r, before)
}

func claimsOf[S any](d decision[S], before S, es []events.Event) []claim {
	if d.claims == nil {
		return nil
	}
	return d.claims(before, es)
}

// recall reads again what a command wrote, and where: a repeat is not decided, so
// nothing else settles its account and service.
func (a *aggregates[S]) recall(ctx context.Context, r *request, stream string, d done) ([]events.Event, error) {
	var es []events.Event
	for recorded, err := range a.log.ReadStream(ctx, stream, d.First, store.Forwards) {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", stream, err)
		}
		if store.Revision(recorded.Revision) > d.Last {
			break
		}
		event, err := events.Vocabulary().Decode(recorded.Type, recorded.Data)
		if err != nil {
			return nil, fmt.Errorf("read %s revision %d: %w", stream, recorded.Revision, err)
		}
		es = append(es, event)
		r.Account, r.Service = recorded.Metadata.Account, recorded.Metadata.Service
	}
	return es, nil
}

// tell fills in what the events say.
func (o *Outcome) tell(id string, es []events.Event, made func(string, []events.Event) (string, *int64)) {
	o.Decided = es
	for _, e := range es {
		o.Events = append(o.Events, e.EventType())
	}
	if made == nil {
		o.Sid = id
		return
	}
	o.Sid, o.Index = made(id, es)
}
