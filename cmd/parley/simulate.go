package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/duration"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// simulated is what would have become of the conversations with one outcome.
type simulated struct {
	Outcome        conversation.Outcome `json:"outcome"`
	Conversations  int                  `json:"conversations"`
	Regretted      int                  `json:"regretted"` // of these, with traffic after they would have closed
	After          int                  `json:"after"`     // messages, participants and states of such traffic
	WasInactive    int                  `json:"was_inactive"`
	Inactive       int                  `json:"inactive"` // times that a timer would have made one inactive
	WasReactivated int                  `json:"was_reactivated"`
	Reactivated    int                  `json:"reactivated"` // times that traffic would have made one active again
}

var simulatedView = view[simulated]{
	columns: []string{"outcome", "conversations", "regretted", "after", "was_inactive", "inactive", "was_reactivated", "reactivated"},
	cells: func(s simulated) []string {
		cells := []string{string(s.Outcome)}
		for _, n := range []int{s.Conversations, s.Regretted, s.After, s.WasInactive, s.Inactive, s.WasReactivated, s.Reactivated} {
			cells = append(cells, strconv.Itoa(n))
		}
		return cells
	},
}

// affected is a conversation that would have closed at another time.
type affected struct {
	ConversationSid string               `json:"conversation_sid"`
	ChatServiceSid  string               `json:"chat_service_sid"`
	Outcome         conversation.Outcome `json:"outcome"`
	Closed          time.Time            `json:"closed,omitzero"`
	WouldClose      time.Time            `json:"would_close,omitzero"`
	After           int                  `json:"after"`
}

var affectedView = view[affected]{
	columns: []string{"conversation_sid", "outcome", "closed", "would_close", "after"},
	cells: func(a affected) []string {
		return []string{a.ConversationSid, string(a.Outcome), stamp(a.Closed), stamp(a.WouldClose), strconv.Itoa(a.After)}
	},
}

// simulation is what is asked.
type simulation struct {
	policy   events.Timers
	from, to time.Time
	service  string
}

func timerSimulate() *cobra.Command {
	c := &cobra.Command{
		Use: "simulate", Short: "Tell how conversations would have gone with other timers", Args: noArguments,
		Long: `Replay the recorded history with other timers in place of those that conversations had,
and count those that would have closed earlier or later than they did, or at the same time.
Of these, regretted ones had traffic after they would have closed: messages, participants,
or a state set by a client. What timers did is left out of the history and done anew, each
at the instant it is due. --from and --to bound when conversations began and how far they
are followed; a day is its beginning in UTC.

What a conversation would have heard after it was really closed is not known: longer timers
look more peaceful than they are.`,
		Example: "  parley timer simulate --inactive P1D --closed P7D\n  parley timer simulate --closed PT12H --from 2026-11-01 --to 2026-12-01 --each -o csv",
	}
	flags := addReadFlags(c)
	var s simulation
	f := c.Flags()
	f.StringVar(&s.policy.Inactive, "inactive", "", "timer that makes a conversation inactive, e.g. P1D; none by default")
	f.StringVar(&s.policy.Closed, "closed", "", "timer that closes it, e.g. P7D; none by default")
	f.StringVar(&s.service, "service", "", "only conversations of this service")
	from := f.String("from", "", "only conversations that began at this time or later")
	to := f.String("to", "", "what happened up to this time (default: now)")
	list := f.Bool("each", false, "one line for each conversation that would have closed at another time")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := s.check(*from, *to, time.Now()); err != nil {
			return err
		}
		return withLog(c.Context(), *flags.data, func(log readLog) error {
			all, err := s.run(c.Context(), log)
			switch {
			case err != nil:
				return err
			case *list:
				return show(c.OutOrStdout(), *flags.output, affectedView, each(affectedOf(all)))
			}
			return show(c.OutOrStdout(), *flags.output, simulatedView, each(sumUp(all)))
		})
	}
	return c
}

func (s *simulation) check(from, to string, now time.Time) (err error) {
	if s.policy == (events.Timers{}) {
		return usage("--inactive or --closed is needed")
	}
	for flag, text := range map[string]string{"--inactive": s.policy.Inactive, "--closed": s.policy.Closed} {
		if _, err := duration.Parse(text); text != "" && err != nil {
			return usage("%s %q: %v", flag, text, err)
		}
	}
	if s.from, err = parseTime("--from", from, time.Time{}); err != nil {
		return err
	}
	if s.to, err = parseTime("--to", to, now); err != nil {
		return err
	}
	if s.to.After(now) || s.from.After(s.to) {
		return usage("--from is not after --to, nor --to in the future")
	}
	return nil
}

// parseTime reads a time that is no position.
func parseTime(flag, text string, otherwise time.Time) (time.Time, error) {
	if text == "" {
		return otherwise, nil
	}
	p, err := parsePoint(flag, text)
	if err == nil && p.time.IsZero() {
		err = usage("%s %q: a time, not a position", flag, text)
	}
	return p.time, err
}

// clockTypes are the events that timers have to do with, and what they were called.
func clockTypes() []string {
	names := events.FormerTypes()
	for _, e := range []events.Event{
		events.ConversationCreated{}, events.ConversationTimersConfigured{}, events.ConversationStateChanged{},
		events.ConversationRemoved{}, events.MessageAdded{}, events.ParticipantAdded{},
	} {
		names = append(names, e.EventType())
	}
	return names
}

// run returns the conversations that are asked for, by their SIDs.
func (s *simulation) run(ctx context.Context, log readLog) (map[string]*conversation.Rerun, error) {
	all := map[string]*conversation.Rerun{}
	for e, err := range log.ReadAll(ctx, events.Position{}, store.Filter{Types: clockTypes()}) {
		if err != nil {
			return nil, err
		}
		if e.Recorded.After(s.to) {
			break // these times never fall
		}
		category, sid, _ := events.SplitStream(e.Stream)
		if category != events.CategoryConversation {
			continue
		}
		event, err := events.Vocabulary().Decode(e.Type, e.Data)
		if err != nil {
			return nil, err
		}
		if all[sid] == nil {
			all[sid] = &conversation.Rerun{Policy: s.policy}
		}
		all[sid].See(event)
	}
	for sid, r := range all {
		if r.Advance(s.to); r.Began.Before(s.from) || s.service != "" && r.Service != s.service {
			delete(all, sid)
		}
	}
	return all, nil
}

func sumUp(all map[string]*conversation.Rerun) []simulated {
	list := []simulated{{Outcome: conversation.ClosesEarlier}, {Outcome: conversation.ClosesLater}, {Outcome: conversation.ClosesSame}}
	for _, r := range all {
		s := &list[slices.IndexFunc(list, func(s simulated) bool { return s.Outcome == r.Outcome() })]
		s.Conversations++
		s.After += r.After
		s.Regretted += min(r.After, 1)
		s.WasInactive += r.Was.Inactivated
		s.Inactive += r.Would.Inactivated
		s.WasReactivated += r.Was.Reactivated
		s.Reactivated += r.Would.Reactivated
	}
	return list
}

// affectedOf lists those that would have closed at another time, the most regretted first.
func affectedOf(all map[string]*conversation.Rerun) (list []affected) {
	for sid, r := range all {
		if o := r.Outcome(); o != conversation.ClosesSame {
			list = append(list, affected{sid, r.Service, o, r.Was.Closed, r.Would.Closed, r.After})
		}
	}
	slices.SortFunc(list, func(a, b affected) int {
		return cmp.Or(cmp.Compare(b.After, a.After), cmp.Compare(a.ConversationSid, b.ConversationSid))
	})
	return list
}
