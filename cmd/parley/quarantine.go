package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
)

func projectionQuarantine() *cobra.Command {
	c := &cobra.Command{
		Use: "quarantine", Short: "Streams that are parked because of an event the read models cannot apply",
		Long: `An event that the read models cannot apply parks the later events of its stream, for
the read models only: commands, the bus and exports are not concerned. When the cause is
mended, "retry" applies them in order; "skip" leaves the first one out for good.
"parley serve --on-poison stop" stops the read models instead.`,
	}
	c.AddCommand(quarantineList(), quarantineShow(), quarantineRetry(), quarantineSkip())
	return c
}

var quarantineView = view[projections.Quarantined]{
	columns: []string{"stream", "since", "position", "revision", "type", "parked", "error"},
	cells: func(q projections.Quarantined) []string {
		return []string{q.Stream, q.Since.Format(time.RFC3339), q.Position.String(), fmt.Sprint(q.Revision), q.Type, fmt.Sprint(q.Parked), short(q.Error, 80)}
	},
}

func quarantineList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List parked streams", Args: noArguments, Example: "  parley projection quarantine list"}
	flags := addReadFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withReading(c.Context(), *flags.data, func(r *reading) error {
			list, err := r.queries.Quarantined(c.Context())
			if err != nil {
				return err
			}
			return show(c.OutOrStdout(), *flags.output, quarantineView, each(list))
		})
	}
	return c
}

// shownQuarantine is a parked stream with its events.
type shownQuarantine struct {
	projections.Quarantined
	Skipped []projections.Skipped `json:"skipped,omitempty"`
	Events  []shownEvent          `json:"events"`
}

func quarantineShow() *cobra.Command {
	c := &cobra.Command{
		Use: "show STREAM", Short: "Show a parked stream with its events and what they say", Args: oneArgument("stream"),
		Example: "  parley projection quarantine show order-1042\n  parley projection quarantine show user-US0f9e…",
	}
	data := dataFlag(c)
	limit := c.Flags().Int("limit", 100, "events at most; 0 = all")
	c.RunE = func(c *cobra.Command, args []string) error {
		return withReading(c.Context(), *data, func(r *reading) error {
			shown, err := r.quarantined(c.Context(), args[0], *limit)
			if err != nil {
				return err
			}
			return printJSON(c.OutOrStdout(), shown)
		})
	}
	return c
}

func (r *reading) quarantined(ctx context.Context, ref string, limit int) (shown shownQuarantine, err error) {
	stream, err := r.streamOf(ctx, ref)
	if err != nil {
		return shown, err
	}
	list, err := r.queries.Quarantined(ctx)
	if err != nil {
		return shown, err
	}
	skipped, err := r.queries.Skipped(ctx)
	if err != nil {
		return shown, err
	}
	for _, q := range list {
		if q.Stream == stream {
			shown.Quarantined = q
		}
	}
	for _, s := range skipped {
		if s.Stream == stream {
			shown.Skipped = append(shown.Skipped, s)
		}
	}
	if shown.Stream == "" {
		return shown, fmt.Errorf("%w: %s", projections.ErrNotQuarantined, stream)
	}
	for e, err := range r.log.ReadStream(ctx, stream, store.Revision(shown.Revision), store.Forwards) {
		if err != nil || limit > 0 && len(shown.Events) == limit {
			return shown, err
		}
		shown.Events = append(shown.Events, shownOf(e))
	}
	return shown, nil
}

// streamOf is a stream by its name, or the one of a conversation.
func (r *reading) streamOf(ctx context.Context, ref string) (string, error) {
	if category, _, named := events.SplitStream(ref); named && slices.Contains(events.Categories(), category) {
		return ref, nil
	}
	if domain.IsSID("CH", ref) {
		return events.Stream(events.CategoryConversation, ref), nil
	}
	sid, err := r.sidOf(ctx, "", ref)
	return events.Stream(events.CategoryConversation, sid), err
}

func quarantineRetry() *cobra.Command {
	o := operation{action: actionRetry}
	c := &cobra.Command{
		Use: "retry STREAM", Short: "Apply the parked events of a stream, in order", Args: oneArgument("stream"),
		Long:    "Apply the parked events of a stream, in order, up to the first that still cannot be\napplied; exit code 7 when there is one.",
		Example: "  parley projection quarantine retry order-1042",
	}
	return releaseCommand(c, &o)
}

func quarantineSkip() *cobra.Command {
	o := operation{action: actionSkip}
	c := &cobra.Command{
		Use: "skip STREAM", Short: "Leave the first parked event out for good, and apply the others", Args: oneArgument("stream"),
		Long:    "Leave the first parked event of a stream out of the read models for good, also in\nrebuilds, and apply the others. The log keeps it, and the reason is kept.",
		Example: "  parley projection quarantine skip order-1042 --reason 'written by a broken import'",
	}
	c.Flags().StringVar(&o.Reason, "reason", "", "why; it is needed")
	return releaseCommand(c, &o)
}

func releaseCommand(c *cobra.Command, o *operation) *cobra.Command {
	data := dataFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if o.action == actionSkip && o.Reason == "" {
			return usage("--reason is needed")
		}
		err := withReading(c.Context(), *data, func(r *reading) (err error) {
			o.Stream, err = r.streamOf(c.Context(), args[0])
			return err
		})
		if err != nil {
			return err
		}
		left := false
		err = operateWith(c, folder(*data), *o, func(s operationStep) { left = left || s.Released != nil && s.Released.Left != nil })
		if err == nil && left {
			return &quietError{exitDifference}
		}
		return err
	}
	return c
}
