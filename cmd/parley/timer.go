package main

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
)

func timerCommand() *cobra.Command {
	c := &cobra.Command{Use: "timer", Short: "Look at running timers, and change them"}
	c.AddCommand(timerList(), timerLate(), timerForecast(), timerSimulate(), timerFire(), timerPostpone(), timerCancel())
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
		Long: `List running timers, the next one first. With --as-of they are those that ran then; the
whole log up to then is folded for it.`,
		Example: "  parley timer list --within 1h\n  parley timer list --as-of 2026-11-25",
	}
	flags, limit, asOf := addReadFlags(c), limitFlag(c), clockedFlag(c)
	within := c.Flags().Duration("within", 0, "only those due within this time from now, or from the time in --as-of; 0 means all")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withReading(c.Context(), *flags.data, func(r *reading) error {
			running, err := r.timersAt(c, *asOf, *within)
			if err != nil {
				return err
			}
			if *limit > 0 && len(running) > *limit {
				running = running[:*limit]
			}
			return show(c.OutOrStdout(), *flags.output, timerView, each(running))
		})
	}
	return c
}

func (r *reading) timers(c *cobra.Command, within time.Duration) ([]runningTimer, error) {
	return timersOf(c, r.queries, time.Now(), within)
}

// timersAt are those that run, or that ran at a moment.
func (r *reading) timersAt(c *cobra.Command, when when, within time.Duration) (running []runningTimer, err error) {
	if when.text == "" {
		return r.timers(c, within)
	}
	p, err := r.point(c.Context(), when)
	if err != nil {
		return nil, err
	}
	if within != 0 && p.time.IsZero() {
		return nil, usage("--within counts from a time, and --as-of %s is none", p.text)
	}
	past, err := p.past(c.Context(), r.log.ReadAll(c.Context(), events.Position{}, store.Filter{}))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, past.Close()) }()
	return timersOf(c, past.Queries, p.time, within)
}

func timersOf(c *cobra.Command, q *projections.Queries, from time.Time, within time.Duration) ([]runningTimer, error) {
	until := from.Add(within)
	var running []runningTimer
	_, err := q.DueRows(c.Context(), func(d projections.Due) bool {
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

func timerLate() *cobra.Command {
	c := &cobra.Command{
		Use: "late", Short: "List timers that are due and have not fired, the oldest first", Args: noArguments,
		Long: `List timers that are due and have not fired, the oldest first. While a server runs there
are none for longer than a second or two; without one they pile up and fire in order at
the next start.`,
		Example: "  parley timer late --by 10s",
	}
	flags, limit := addReadFlags(c), limitFlag(c)
	by := c.Flags().Duration("by", 0, "only those that are late by at least this")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withReading(c.Context(), *flags.data, func(r *reading) error {
			running, err := r.timers(c, 0)
			if err != nil {
				return err
			}
			since := time.Now().Add(-*by)
			late := slices.DeleteFunc(running, func(t runningTimer) bool { return t.Due.After(since) })
			if *limit > 0 && len(late) > *limit {
				late = late[:*limit]
			}
			return show(c.OutOrStdout(), *flags.output, timerView, each(late))
		})
	}
	return c
}

// each yields a list.
func each[R any](list []R) func(yield func(R) error) error {
	return func(yield func(R) error) error {
		for _, row := range list {
			if err := yield(row); err != nil {
				return err
			}
		}
		return nil
	}
}

// forecast is how many transitions timers will make in a stretch of time if nothing
// happens in the conversations.
type forecast struct {
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	ToInactive int       `json:"to_inactive"`
	ToClosed   int       `json:"to_closed"`
}

var forecastView = view[forecast]{
	columns: []string{"from", "to", "to_inactive", "to_closed"},
	cells: func(f forecast) []string {
		return []string{stamp(f.From), stamp(f.To), strconv.Itoa(f.ToInactive), strconv.Itoa(f.ToClosed)}
	},
}

// maxStretches bounds the rows of a forecast.
const maxStretches = 10_000

func timerForecast() *cobra.Command {
	c := &cobra.Command{
		Use: "forecast", Short: "Count the transitions that timers will make", Args: noArguments,
		Long: `Count the transitions that timers will make, by stretches of time from now on, if nothing
happens in the conversations. What is late already is in the first one. A conversation
that becomes inactive and closes within the time is counted in both columns.`,
		Example: "  parley timer forecast --within 24h --step 1h",
	}
	flags := addReadFlags(c)
	within := c.Flags().Duration("within", time.Hour, "how far to look")
	step := c.Flags().Duration("step", 0, "length of a stretch (default: all in one)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *step == 0 {
			*step = *within
		}
		if *within <= 0 || *step <= 0 || *within / *step > maxStretches {
			return usage("--within and --step are more than nothing, and at most %d stretches", maxStretches)
		}
		return withReading(c.Context(), *flags.data, func(r *reading) error {
			list, err := r.forecast(c, *within, *step)
			if err != nil {
				return err
			}
			return show(c.OutOrStdout(), *flags.output, forecastView, each(list))
		})
	}
	return c
}

func (r *reading) forecast(c *cobra.Command, within, step time.Duration) ([]forecast, error) {
	now := time.Now()
	end := now.Add(within)
	var list []forecast
	for from := now; from.Before(end); from = from.Add(step) {
		to := from.Add(step)
		if to.After(end) {
			to = end
		}
		list = append(list, forecast{From: from, To: to})
	}
	count := func(due time.Time, of func(*forecast) *int) {
		if due.IsZero() || !due.Before(end) {
			return
		}
		at := min(max(int(due.Sub(now)/step), 0), len(list)-1)
		*of(&list[at])++
	}
	_, err := r.queries.DueRows(c.Context(), func(d projections.Due) bool {
		inactive, closed := d.Transitions()
		count(inactive, func(f *forecast) *int { return &f.ToInactive })
		count(closed, func(f *forecast) *int { return &f.ToClosed })
		return true
	})
	return list, err
}
