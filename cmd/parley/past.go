package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
)

// when is a moment as it was asked for; now unless there is a text.
type when struct{ text, clock string }

// The clocks.
const (
	recordedClock = "recorded" // when the log took it: what was known
	occurredClock = "occurred" // when it happened: what was so, as far as is known today
)

func asOfFlag(c *cobra.Command) *when {
	w := &when{clock: recordedClock}
	c.Flags().StringVar(&w.text, "as-of", "", "as it was at a position of the log, or at a time: 1042, 2026-11-25T16:00:00Z, 2026-11-25")
	return w
}

// clockedFlag adds a choice of the clock to --as-of.
func clockedFlag(c *cobra.Command) *when {
	w := asOfFlag(c)
	c.Flags().StringVar(&w.clock, "clock", recordedClock, "what a time in --as-of is compared with: recorded (when the log took it) or occurred (when it happened)")
	return w
}

// point is a moment in the history: a position, or else a time by one of the clocks.
type point struct {
	text     string
	position events.Position
	time     time.Time
	occurred bool
}

// point reads the moment.
func (w when) point() (point, error) {
	p, err := parsePoint("--as-of", w.text)
	switch {
	case err != nil:
		return p, err
	case w.clock != recordedClock && w.clock != occurredClock:
		return p, usage("--clock %q: recorded or occurred", w.clock)
	case w.clock == occurredClock && p.time.IsZero():
		return p, usage("--clock occurred is for a time, not for position %s", w.text)
	}
	p.occurred = w.clock == occurredClock
	return p, nil
}

// parsePoint reads a moment. A day is its beginning in UTC.
func parsePoint(flag, text string) (point, error) {
	if position, err := events.ParsePosition(text); err == nil {
		return point{text: text, position: position}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return point{text: text, time: t}, nil
		}
	}
	return point{}, usage("%s %q: a position such as 1042, or a time such as 2026-11-25T16:00:00Z or 2026-11-25", flag, text)
}

// within reports whether an event had been recorded by then, or had happened.
func (p point) within(e *events.Recorded) bool {
	switch {
	case p.time.IsZero():
		return e.Position.Compare(p.position) <= 0
	case p.occurred:
		return !e.OccurredAt().After(p.time)
	}
	return !e.Recorded.After(p.time)
}

// past folds a part of the log as it was.
func (p point) past(ctx context.Context, log iter.Seq2[events.Recorded, error]) (*projections.Past, error) {
	if p.occurred {
		return projections.AsOccurred(ctx, p.part(log))
	}
	return projections.AsOf(ctx, p.part(log))
}

// part is what a sequence has up to the moment. By the time of recording, and so by
// position, nothing comes behind it.
func (p point) part(log iter.Seq2[events.Recorded, error]) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		for e, err := range log {
			if err == nil && !p.within(&e) {
				if p.occurred {
					continue
				}
				return
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// at looks at a conversation as it is or, with a moment, as it was then. Names are those
// of now.
func (r *reading) at(ctx context.Context, when when, service, ref string, look func(q *projections.Queries, service, ref string) error) (err error) {
	if when.text == "" {
		return look(r.queries, r.anyOr(service, ref), ref)
	}
	p, sid, err := r.moment(ctx, when, service, ref)
	if err != nil {
		return err
	}
	past, err := p.past(ctx, r.stream(ctx, sid))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, past.Close()) }()
	err = look(past.Queries, "", sid)
	if missing := new(projections.NotFoundError); errors.As(err, &missing) && missing.Name == sid {
		return &projections.NotFoundError{Kind: "conversation", Name: fmt.Sprintf("%s as of %s", sid, p.text)}
	}
	return err
}

// moment reads which conversation is meant, and when; now unless it is said.
func (r *reading) moment(ctx context.Context, when when, service, ref string) (p point, sid string, err error) {
	if p, err = r.point(ctx, when); err != nil {
		return p, "", err
	}
	sid, err = r.sidOf(ctx, service, ref)
	return p, sid, err
}

// point reads a moment that the log has reached.
func (r *reading) point(ctx context.Context, when when) (p point, err error) {
	head, err := r.log.Head(ctx)
	if err != nil {
		return p, err
	}
	if when.text == "" {
		when.text = head.String()
	}
	if p, err = when.point(); err == nil && p.position.Compare(head) > 0 {
		err = usage("--as-of %s is beyond the end of the log, %s", p.text, head)
	}
	return p, err
}

// sidOf returns a conversation's SID. One that was removed has no name any more.
func (r *reading) sidOf(ctx context.Context, service, ref string) (string, error) {
	if r.anyOr(service, ref) == "" {
		return ref, nil
	}
	found, err := r.queries.Conversation(ctx, r.in(service), ref)
	return found.Sid, err
}

// history reads a conversation's events up to a moment.
func (r *reading) history(ctx context.Context, sid string, p point) iter.Seq2[events.Recorded, error] {
	return p.part(r.stream(ctx, sid))
}

// stream reads a conversation's events.
func (r *reading) stream(ctx context.Context, sid string) iter.Seq2[events.Recorded, error] {
	return r.log.ReadStream(ctx, events.Stream(events.CategoryConversation, sid), 0, store.Forwards)
}
