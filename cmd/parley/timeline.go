package main

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
)

// lanes are what a timeline is made of, by the beginning of the events' names behind
// "conversation.".
var lanes = []struct{ prefix, lane string }{
	{"message-", "messages"}, {"delivery-", "receipts"}, {"read-horizon-", "reads"},
	{"participant-", "participants"}, {"notification-", "participants"},
	{"state-", "state"}, {"created", "state"}, {"removed", "state"},
	{"timer", "timers"}, {"webhook-", "webhooks"},
}

func laneOf(eventType string) string {
	name := strings.TrimPrefix(eventType, "conversation.")
	for _, l := range lanes {
		if strings.HasPrefix(name, l.prefix) {
			return l.lane
		}
	}
	return "settings"
}

func momentOf(e events.Recorded) moment {
	return moment{e.Revision, laneOf(e.Type), e.Recorded, e.Metadata.Occurred, e.Type, e.Metadata.Actor, e.Metadata.Command, e.Data}
}

// stretch is a run of events of one kind, as a compact timeline shows it.
type stretch struct {
	Revision uint64    `json:"revision"` // of the first
	Last     uint64    `json:"last"`     // revision
	Recorded time.Time `json:"recorded"` // the first
	Until    time.Time `json:"until"`    // the last was recorded
	Lane     string    `json:"lane"`
	Type     string    `json:"type"`
	Count    int       `json:"count"`

	first moment
}

var stretchView = view[stretch]{
	columns: []string{"revision", "recorded", "lane", "what", "count", "details"},
	cells: func(s stretch) []string {
		row := []string{fmt.Sprint(s.Revision), stamp(s.Recorded), s.Lane, strings.TrimPrefix(s.Type, "conversation."), fmt.Sprint(s.Count), short(details(s.first), 72)}
		if s.Count > 1 {
			row[0], row[5] = fmt.Sprintf("%d–%d", s.Revision, s.Last), "until "+stamp(s.Until)
		}
		return row
	},
}

// compact joins receipts, and read horizons, that follow one another.
func compact(list func(func(moment) error) error) func(func(stretch) error) error {
	return func(yield func(stretch) error) error {
		var open *stretch
		flush := func() error {
			if open == nil {
				return nil
			}
			s := *open
			open = nil
			return yield(s)
		}
		err := list(func(m moment) error {
			if open != nil && open.Type == m.Type && (m.Lane == "receipts" || m.Lane == "reads") {
				open.Last, open.Until = m.Revision, m.Recorded
				open.Count++
				return nil
			}
			if err := flush(); err != nil {
				return err
			}
			open = &stretch{m.Revision, m.Revision, m.Recorded, m.Recorded, m.Lane, m.Type, 1, m}
			return nil
		})
		if err != nil {
			return err
		}
		return flush()
	}
}

func conversationTimeline() *cobra.Command {
	c := &cobra.Command{
		Use: "timeline CH…|UNIQUE_NAME", Short: "Show everything that happened in a conversation", Args: oneArgument("conversation"),
		Long: `Show everything that happened in a conversation, from the log itself, in order: messages,
receipts, reads, participants, state, timers, webhooks and settings, each named as a lane.
The history outlives the conversation: after a removal, name it by its SID.

--form compact joins receipts, and read horizons, that follow one another; raw shows the
events as they are stored, with all metadata.`,
		Example: "  parley conversation timeline order-1042\n  parley conversation timeline order-1042 --form compact -o table\n  parley conversation timeline order-1042 --lane messages,state --as-of 2026-11-25",
	}
	flags, service, asOf := addReadFlags(c), serviceFlag(c), clockedFlag(c)
	form := c.Flags().String("form", "full", "compact, full or raw")
	wanted := c.Flags().StringSlice("lane", nil, "only these lanes, separated by commas")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := knownLanes(*wanted); err != nil {
			return err
		}
		return withReading(c.Context(), *flags.data, func(r *reading) error {
			p, sid, err := r.moment(c.Context(), *asOf, *service, args[0])
			if err != nil {
				return err
			}
			t := &timeline{sid: sid, lanes: *wanted}
			t.history = r.history(c.Context(), sid, p)
			return t.show(c, *flags.output, *form)
		})
	}
	return c
}

func knownLanes(wanted []string) error {
	for _, lane := range wanted {
		known := lane == "settings"
		for _, l := range lanes {
			known = known || l.lane == lane
		}
		if !known {
			return usage("--lane %q: messages, receipts, reads, participants, state, timers, webhooks or settings", lane)
		}
	}
	return nil
}

// timeline is the part of a conversation's history that is shown.
type timeline struct {
	sid     string
	lanes   []string // none: all
	history iter.Seq2[events.Recorded, error]
	some    bool
}

func (t *timeline) events(yield func(events.Recorded) error) error {
	for e, err := range t.history {
		if err != nil {
			return err
		}
		t.some = true
		if len(t.lanes) > 0 && !slices.Contains(t.lanes, laneOf(e.Type)) {
			continue
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

func (t *timeline) moments(yield func(moment) error) error {
	return t.events(func(e events.Recorded) error { return yield(momentOf(e)) })
}

func (t *timeline) show(c *cobra.Command, output, form string) (err error) {
	switch out := c.OutOrStdout(); form {
	case "full":
		err = show(out, output, momentView, t.moments)
	case "compact":
		err = show(out, output, stretchView, compact(t.moments))
	case "raw":
		err = show(out, output, eventView, func(yield func(shownEvent) error) error {
			return t.events(func(e events.Recorded) error { return yield(shownOf(e)) })
		})
	default:
		return usage("--form %q: compact, full or raw", form)
	}
	if err == nil && !t.some {
		return &projections.NotFoundError{Kind: "conversation", Name: t.sid}
	}
	return err
}
