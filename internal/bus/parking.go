package bus

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/internal/engine"
)

// parking knows which aggregates have dead letters, and in which order. It is a
// copy of what the stream holds, but for letters that somebody discarded: those
// are found missing when their turn comes.
type parking struct {
	mu    sync.Mutex
	lanes map[string][]place // in order of origin
}

// place is one letter's.
type place struct {
	origin, letter uint64
	behind         bool
}

func inOrder(letters []DeadLetter) {
	slices.SortFunc(letters, func(a, b DeadLetter) int { return cmp.Compare(a.Origin, b.Origin) })
}

// load reads the stream, and sets going what is only waiting behind letters
// that are gone.
func (p *parking) load(ctx context.Context, d *DeadLetters) error {
	letters, err := d.List(ctx, "", 0)
	if err != nil {
		return err
	}
	inOrder(letters)
	for i := range letters {
		l := &letters[i]
		if _, known := p.first(l.Aggregate); !known && l.Behind() {
			if err := d.request(ctx, l, ""); err != nil {
				return err
			}
		}
		p.add(l.Aggregate, place{origin: l.Origin, letter: l.Sequence, behind: l.Behind()})
	}
	return nil
}

func (p *parking) first(lane string) (place, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	places := p.lanes[lane]
	if len(places) == 0 {
		return place{}, false
	}
	return places[0], true
}

func (p *parking) add(lane string, at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	places := p.lanes[lane]
	if slices.ContainsFunc(places, func(x place) bool { return x.letter == at.letter }) {
		return
	}
	i, _ := slices.BinarySearchFunc(places, at.origin, func(x place, origin uint64) int { return cmp.Compare(x.origin, origin) })
	p.lanes[lane] = slices.Insert(places, i, at)
}

func (p *parking) remove(lane string, letter uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	places := slices.DeleteFunc(p.lanes[lane], func(x place) bool { return x.letter == letter })
	if len(places) == 0 {
		delete(p.lanes, lane)
		return
	}
	p.lanes[lane] = places
}

// forget gives up all places, and returns how many aggregates had some.
func (p *parking) forget() (aggregates int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	aggregates = len(p.lanes)
	clear(p.lanes)
	return aggregates
}

func (p *parking) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lanes)
}

// takeTurn lets a durable command pass when nothing of its aggregate is parked,
// and replaces a redrive by its letter when that is the first one. An error
// means that nobody could find out.
func (b *Bus) takeTurn(ctx context.Context, x *exchange) (*engine.Failure, error) {
	if x.Sequence == 0 {
		return nil, nil
	}
	asked := ""
	if x.authority == nil {
		asked = x.Header.Get(headerRedrive)
	}
	if _, parked := b.parked.first(x.Key); !parked && asked == "" {
		return nil, nil
	}
	foreign, err := b.foreign(ctx, x)
	if foreign || err != nil {
		return nil, err
	}
	first, err := b.firstLetter(ctx, x.Key)
	switch {
	case err != nil:
		return nil, err
	case asked != "":
		return x.redrive(asked, first), nil
	case first != nil:
		return &engine.Failure{Code: CodeParked, Kind: engine.KindUnavailable,
			Message: "an earlier command of the aggregate is a dead letter; this one follows when that is redriven or discarded"}, nil
	}
	return nil, nil
}

// redrive makes the exchange that of the letter, which keeps its own headers
// but answers to who asked.
func (x *exchange) redrive(asked string, first *DeadLetter) *engine.Failure {
	if first == nil || asked != strconv.FormatUint(first.Sequence, 10) {
		return &engine.Failure{Code: CodeOutOfTurn, Kind: string(domain.FailedPrecondition),
			Message: "the dead letter is gone, or another one of the aggregate comes first"}
	}
	replyTo := x.Header.Get(HeaderReplyTo)
	x.Delivery, x.letter = first.delivery(), first
	if replyTo != "" {
		x.Reply = replyTo
	}
	return nil
}

// firstLetter returns the aggregate's first letter, nil when there is none any
// more. Places of discarded letters are given up on the way.
func (b *Bus) firstLetter(ctx context.Context, lane string) (*DeadLetter, error) {
	for moved := false; ; moved = true {
		first, parked := b.parked.first(lane)
		if !parked {
			return nil, nil
		}
		letter, err := b.letters.Get(ctx, first.letter)
		if errors.Is(err, ErrNoLetter) {
			b.parked.remove(lane, first.letter)
			continue
		}
		if err == nil && moved {
			b.follow(ctx, lane)
		}
		return &letter, err
	}
}

// resolve ends a letter that was handled or refused, and lets the next follow.
func (b *Bus) resolve(ctx context.Context, x *exchange) error {
	if x.letter == nil {
		return nil
	}
	if err := b.letters.remove(ctx, x.letter.Sequence); err != nil {
		return err
	}
	b.parked.remove(x.Key, x.letter.Sequence)
	b.follow(ctx, x.Key)
	return nil
}

// follow sets the first letter going if it only waited for its turn.
func (b *Bus) follow(ctx context.Context, lane string) {
	next, parked := b.parked.first(lane)
	if !parked || !next.behind {
		return
	}
	if err := b.letters.request(ctx, &DeadLetter{Sequence: next.letter, Aggregate: lane}, ""); err != nil {
		b.log.Error("parked command does not follow by itself; redrive it", "letter", next.letter, "err", err)
	}
}

// bury keeps the command as a dead letter. A letter that failed again is
// written anew and keeps its place by its origin.
func (b *Bus) bury(ctx context.Context, x *exchange, f *engine.Failure, cause error) error {
	letter := DeadLetter{
		Aggregate: x.Key, Subject: x.Subject, Header: x.Header, Data: x.Data, Origin: x.Sequence,
		Code: f.Code, Error: cause.Error(), Attempts: x.attempts, FirstSeen: x.Time, LastSeen: time.Now().UTC(),
	}
	if x.letter != nil {
		letter.Attempts += x.letter.Attempts
		letter.Redriven = x.letter.Redriven + 1
	}
	sequence, err := b.letters.write(ctx, &letter)
	if err != nil {
		return err
	}
	b.metrics.buried.WithLabelValues(f.Code).Inc()
	if x.letter != nil {
		if err := b.letters.remove(ctx, x.letter.Sequence); err != nil {
			return err
		}
		b.parked.remove(x.Key, x.letter.Sequence)
	}
	b.parked.add(x.Key, place{origin: letter.Origin, letter: sequence, behind: letter.Behind()})
	return nil
}
