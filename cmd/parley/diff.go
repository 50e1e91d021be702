package main

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/projections"
)

// difference is a field that was one thing and is another.
type difference struct {
	Kind  string `json:"kind"` // conversation, participant or message
	Sid   string `json:"sid"`
	Field string `json:"field,omitempty"` // empty: all of it came, or went
	From  any    `json:"from"`            // null: there was none
	To    any    `json:"to"`
}

var differenceView = view[difference]{
	columns: []string{"kind", "sid", "field", "from", "to"},
	cells: func(d difference) []string {
		return []string{d.Kind, d.Sid, d.Field, short(textOf(d.From), 48), short(textOf(d.To), 48)}
	},
}

func conversationDiff() *cobra.Command {
	c := &cobra.Command{
		Use: "diff CH…|UNIQUE_NAME", Short: "Compare a conversation with what it was", Args: oneArgument("conversation"),
		Long: `Compare a conversation, its participants and its messages at two moments: one line for
each field that differs, and for what came or went.`,
		Example: "  parley conversation diff order-1042 --from 1042\n  parley conversation diff order-1042 --from 2026-11-24 --to 2026-11-25 -o json",
	}
	flags, service := addReadFlags(c), serviceFlag(c)
	from := c.Flags().String("from", "", "the earlier moment: a position of the log, or a time")
	to := c.Flags().String("to", "", "the later one (default: now)")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *from == "" {
			return usage("--from is needed")
		}
		return withReading(c.Context(), *flags.data, func(r *reading) error {
			differences, err := r.diff(c.Context(), *service, args[0], *from, *to)
			if err != nil {
				return err
			}
			return show(c.OutOrStdout(), *flags.output, differenceView, each(differences))
		})
	}
	return c
}

// thing is a row of a conversation, or of what it holds.
type thing struct {
	kind, sid string
	fields    []string
	values    map[string]any
}

func (r *reading) diff(ctx context.Context, service, ref, from, to string) ([]difference, error) {
	before, err := r.things(ctx, service, ref, when{from, recordedClock})
	if err != nil {
		return nil, err
	}
	after, err := r.things(ctx, service, ref, when{to, recordedClock})
	if err != nil {
		return nil, err
	}
	if len(before)+len(after) == 0 {
		return nil, &projections.NotFoundError{Kind: "conversation", Name: ref}
	}
	return compareAll(before, after), nil
}

// compareAll returns what changed, went and came.
func compareAll(before, after []thing) (all []difference) {
	for _, old := range before {
		all = append(all, old.compare(find(after, old))...)
	}
	for _, now := range after {
		if find(before, now) == nil {
			all = append(all, difference{Kind: now.kind, Sid: now.sid, To: now.values})
		}
	}
	return all
}

func find(list []thing, wanted thing) *thing {
	i := slices.IndexFunc(list, func(t thing) bool { return t.kind == wanted.kind && t.sid == wanted.sid })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// compare returns how something differs from what it became; nil: it went.
func (t thing) compare(now *thing) (list []difference) {
	if now == nil {
		return []difference{{Kind: t.kind, Sid: t.sid, From: t.values}}
	}
	for _, name := range t.fields {
		if !slices.Contains(bookkeeping, name) && !reflect.DeepEqual(t.values[name], now.values[name]) {
			list = append(list, difference{t.kind, t.sid, name, t.values[name], now.values[name]})
		}
	}
	return list
}

// things are a conversation and what it holds at a moment; none when it was not there.
func (r *reading) things(ctx context.Context, service, ref string, when when) (all []thing, err error) {
	err = r.at(ctx, when, service, ref, func(q *projections.Queries, service, ref string) (err error) {
		all, err = thingsOf(ctx, q, service, ref)
		return err
	})
	if errors.Is(err, projections.ErrNotFound) {
		return nil, nil // no such name
	}
	return all, err
}

// thingsOf are a conversation and what it holds; none when it is not there.
func thingsOf(ctx context.Context, q *projections.Queries, service, ref string) (all []thing, err error) {
	found, err := q.Conversation(ctx, service, ref)
	if errors.Is(err, projections.ErrNotFound) {
		return nil, nil // not yet, or not any more
	}
	if err == nil {
		all, err = with(all, "conversation", found.Sid, found)
	}
	if err != nil {
		return nil, err
	}
	err = pages(0, func(p projections.Page) (projections.List[projections.Participant], error) {
		return q.Participants(ctx, service, ref, p)
	}, func(row projections.Participant) (err error) {
		all, err = with(all, "participant", row.Sid, row)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = pages(0, func(p projections.Page) (projections.List[projections.Message], error) {
		return q.Messages(ctx, service, ref, false, p)
	}, func(row projections.Message) (err error) {
		all, err = with(all, "message", row.Sid, row)
		return err
	})
	return all, err
}

func with(list []thing, kind, sid string, row any) ([]thing, error) {
	values, err := valuesOf(row)
	return append(list, thing{kind, sid, fieldsOf(row), values}), err
}

// rowsByKind are empty rows, for the names of their fields.
var rowsByKind = map[string]any{
	"conversation": projections.Conversation{}, "participant": projections.Participant{}, "message": projections.Message{},
}

// fieldsOf are the names of a row's fields in JSON, in their order.
func fieldsOf(row any) (names []string) {
	for _, f := range reflect.VisibleFields(reflect.TypeOf(row)) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}
