package main

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
)

func timerCommand() *cobra.Command {
	c := &cobra.Command{Use: "timer", Short: "Look at running timers"}
	c.AddCommand(timerList())
	return c
}

// runningTimer is the next transition that a timer will make.
type runningTimer struct {
	Due             time.Time `json:"due"`
	ConversationSid string    `json:"conversation_sid"`
	ChatServiceSid  string    `json:"chat_service_sid"`
	From            string    `json:"from"`
	To              string    `json:"to"`
}

var timerView = view[runningTimer]{
	columns: []string{"due", "conversation_sid", "from", "to"},
	cells:   func(t runningTimer) []string { return []string{stamp(t.Due), t.ConversationSid, t.From, t.To} },
}

func timerList() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List running timers, the next one first", Args: noArguments,
		Example: "  parley timer list --within 1h",
	}
	flags, limit := addReadFlags(c), limitFlag(c)
	within := c.Flags().Duration("within", 0, "only those due within this time from now; 0 means all")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withReading(c.Context(), *flags.data, func(r *reading) error {
			running, err := r.timers(c, *within)
			if err != nil {
				return err
			}
			if *limit > 0 && len(running) > *limit {
				running = running[:*limit]
			}
			return show(c.OutOrStdout(), *flags.output, timerView, func(yield func(runningTimer) error) error {
				for _, t := range running {
					if err := yield(t); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	return c
}

func (r *reading) timers(c *cobra.Command, within time.Duration) ([]runningTimer, error) {
	until := time.Now().Add(within)
	var running []runningTimer
	_, err := r.queries.DueRows(c.Context(), func(d projections.Due) bool {
		next := d.Next()
		if !next.IsZero() && (within == 0 || !next.After(until)) {
			running = append(running, runningTimer{next, d.ConversationSid, d.ChatServiceSid, d.State, target(d)})
		}
		return true
	})
	slices.SortFunc(running, func(a, b runningTimer) int { return a.Due.Compare(b.Due) })
	return running, err
}

func target(d projections.Due) string {
	if d.State == events.StateActive && d.InactiveAfter > 0 {
		return events.StateInactive
	}
	return events.StateClosed
}
