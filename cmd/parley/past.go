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

func asOfFlag(c *cobra.Command) *string {
	return c.Flags().String("as-of", "", "as it was at a position of the log, or at a time, by when the log took it: 1042, 2026-11-25T16:00:00Z, 2026-11-25")
}

// point is a moment in the history: a position, or else a time.
type point struct {
	text     string
	position events.Position
	time     time.Time
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

// within reports whether an event had been recorded by then.
func (p point) within(e *events.Recorded) bool {
	if p.time.IsZero() {
		return e.Position.Compare(p.position) <= 0
	}
	return !e.Recorded.After(p.time)
}

// at looks at a conversation as it is or, with a moment, as it was then. Names are those
// of now.
func (r *reading) at(ctx context.Context, when, service, ref string, look func(q *projections.Queries, service, ref string) error) (err error) {
	if when == "" {
		return look(r.queries, r.anyOr(service, ref), ref)
	}
	p, sid, err := r.moment(ctx, when, service, ref)
	if err != nil {
		return err
	}
	past, err := projections.AsOf(ctx, r.history(ctx, sid, p))
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
func (r *reading) moment(ctx context.Context, when, service, ref string) (p point, sid string, err error) {
	head, err := r.log.Head(ctx)
	if err != nil {
		return p, "", err
	}
	if when == "" {
		when = head.String()
	}
	if p, err = parsePoint("--as-of", when); err != nil {
		return p, "", err
	}
	if p.position.Compare(head) > 0 {
		return p, "", usage("--as-of %s is beyond the end of the log, %s", p.text, head)
	}
	sid, err = r.sidOf(ctx, service, ref)
	return p, sid, err
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
	return func(yield func(events.Recorded, error) bool) {
		for e, err := range r.log.ReadStream(ctx, events.Stream(events.CategoryConversation, sid), 0, store.Forwards) {
			if err == nil && !p.within(&e) {
				return
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}
