package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
)

func eventCommand() *cobra.Command {
	c := &cobra.Command{Use: "event", Short: "Read the log"}
	c.AddCommand(eventList(), eventTail(), eventGet())
	return c
}

// shownEvent is an event of the log as the tool shows it.
type shownEvent struct {
	Position events.Position `json:"position"`
	ID       events.ID       `json:"id"`
	Type     string          `json:"type"`
	Stream   string          `json:"stream"`
	Revision uint64          `json:"revision"`
	Recorded time.Time       `json:"recorded"`
	Metadata events.Metadata `json:"metadata"`
	Data     json.RawMessage `json:"data"`
}

func shownOf(e events.Recorded) shownEvent {
	return shownEvent{e.Position, e.ID, e.Type, e.Stream, e.Revision, e.Recorded, e.Metadata, e.Data}
}

var eventView = view[shownEvent]{
	columns: []string{"position", "recorded", "stream", "revision", "type", "data"},
	cells: func(e shownEvent) []string {
		return []string{e.Position.String(), stamp(e.Recorded), e.Stream, fmt.Sprint(e.Revision), e.Type, short(string(e.Data), 64)}
	},
}

// selection is what of the log is wanted.
type selection struct {
	after   *string
	streams *[]string
	types   *[]string
}

func addSelection(c *cobra.Command) selection {
	return selection{
		after:   c.Flags().String("after", "0", "begin behind this position"),
		streams: c.Flags().StringSlice("stream", nil, "only streams that begin with this, e.g. conversation-"),
		types:   c.Flags().StringSlice("type", nil, "only this type, e.g. conversation.message-added.v1"),
	}
}

func (s selection) read() (events.Position, store.Filter, error) {
	after, err := events.ParsePosition(*s.after)
	if err != nil {
		return after, store.Filter{}, usage("--after: %v", err)
	}
	return after, store.Filter{StreamPrefixes: *s.streams, Types: *s.types}, nil
}

func eventList() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List events in the order of the log", Args: noArguments,
		Example: "  parley event list --stream conversation- --type conversation.state-changed.v1 -o jsonl",
	}
	flags, limit, selected := addReadFlags(c), limitFlag(c), addSelection(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		after, filter, err := selected.read()
		if err != nil {
			return err
		}
		return withLog(c.Context(), *flags.data, func(log readLog) error {
			shown := 0
			return show(c.OutOrStdout(), *flags.output, eventView, func(yield func(shownEvent) error) error {
				for e, err := range log.ReadAll(c.Context(), after, filter) {
					if err != nil {
						return err
					}
					if shown++; *limit > 0 && shown > *limit {
						return nil
					}
					if err := yield(shownOf(e)); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	return c
}

func withLog(ctx context.Context, data string, look func(readLog) error) error {
	f := folder(data)
	if err := f.exists(); err != nil {
		return err
	}
	log, err := f.openReading(ctx)
	if err != nil {
		return err
	}
	return errors.Join(f.within(look(log)), log.Close())
}

func eventTail() *cobra.Command {
	c := &cobra.Command{
		Use: "tail", Short: "Show new events as they are appended, one a line", Args: noArguments,
		Long: "Show new events as they are appended, one JSON object a line, until interrupted.\nWith --after, history behind that position comes first. The position to go on from\nis printed on standard error at the end.",
	}
	data, limit, selected := dataFlag(c), limitFlag(c), addSelection(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		after, filter, err := selected.read()
		if err != nil {
			return err
		}
		return withLog(c.Context(), *data, func(log readLog) error {
			if !c.Flags().Changed("after") {
				if after, err = log.Head(c.Context()); err != nil {
					return err
				}
			}
			last, err := tail(c.Context(), c, log, after, filter, *limit)
			fmt.Fprintf(c.ErrOrStderr(), "go on with --after %s\n", last)
			return err
		})
	}
	return c
}

func tail(ctx context.Context, c *cobra.Command, log store.LogReader, last events.Position, filter store.Filter, limit int) (events.Position, error) {
	shown := 0
	encoder := json.NewEncoder(c.OutOrStdout())
	encoder.SetEscapeHTML(false)
	for batch, err := range store.Subscribe(ctx, log, last, filter) {
		if err != nil {
			return last, unlessDone(ctx, err)
		}
		for _, e := range batch.Events {
			if err := encoder.Encode(shownOf(e)); err != nil {
				return last, err
			}
			last = e.Position
			if shown++; shown == limit {
				return last, nil
			}
		}
		last = batch.Upto
	}
	return last, nil
}

func eventGet() *cobra.Command {
	c := &cobra.Command{
		Use: "get POSITION|STREAM@REVISION", Short: "Show one event", Args: oneArgument("event"),
		Example: "  parley event get 42\n  parley event get conversation-CH…@7",
	}
	flags := addReadFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return withLog(c.Context(), *flags.data, func(log readLog) error {
			found, err := findEvent(c.Context(), log, args[0])
			if err != nil {
				return err
			}
			if *flags.output == "" {
				*flags.output = "json"
			}
			return showOne(c.OutOrStdout(), *flags.output, eventView, shownOf(found))
		})
	}
	return c
}

func findEvent(ctx context.Context, log readLog, name string) (events.Recorded, error) {
	missing := &projections.NotFoundError{Kind: "event", Name: name}
	if stream, text, ok := strings.Cut(name, "@"); ok {
		var revision int64
		if _, err := fmt.Sscanf(text, "%d", &revision); err != nil || revision < 0 {
			return events.Recorded{}, usage("%q is not a revision", text)
		}
		for e, err := range log.ReadStream(ctx, stream, store.Revision(revision), store.Forwards) {
			return e, err
		}
		return events.Recorded{}, missing
	}
	position, err := events.ParsePosition(name)
	if err != nil || position.IsZero() {
		return events.Recorded{}, usage("%q is neither a position nor STREAM@REVISION", name)
	}
	for e, err := range log.ReadFrom(ctx, position, store.Forwards, store.Filter{}) {
		if errors.Is(err, store.ErrNoEvent) {
			err = missing
		}
		return e, err
	}
	return events.Recorded{}, missing
}
