package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
)

func conversationCommand() *cobra.Command {
	c := &cobra.Command{Use: "conversation", Short: "Look at conversations"}
	c.AddCommand(conversationGet(), conversationList(), conversationTimeline(), conversationDiff(), conversationExplain(), conversationFixture())
	return c
}

// shownConversation is a conversation as the tool shows it: the row and when
// its timers come up.
type shownConversation struct {
	projections.Conversation
	DateInactive time.Time `json:"date_inactive,omitzero"`
	DateClosed   time.Time `json:"date_closed,omitzero"`
}

func shown(c projections.Conversation) shownConversation {
	return shownConversation{c, c.DateInactive(), c.DateClosed()}
}

var conversationView = view[shownConversation]{
	columns: []string{"sid", "state", "unique_name", "friendly_name", "messages", "date_created", "date_inactive", "date_closed"},
	cells: func(c shownConversation) []string {
		return []string{c.Sid, c.State, short(c.UniqueName, 24), short(c.FriendlyName, 32), fmt.Sprint(c.LastMessageIndex + 1),
			stamp(c.DateCreated), stamp(c.DateInactive), stamp(c.DateClosed)}
	},
}

func conversationGet() *cobra.Command {
	c := &cobra.Command{
		Use: "get CH…|UNIQUE_NAME", Short: "Show one conversation", Args: oneArgument("conversation"),
		Example: "  parley conversation get order-1042 -o json\n  parley conversation get order-1042 --as-of 2026-11-25",
	}
	flags, service, asOf := addReadFlags(c), serviceFlag(c), clockedFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return withReading(c.Context(), *flags.data, func(r *reading) error {
			return r.at(c.Context(), *asOf, *service, args[0], func(q *projections.Queries, service, ref string) error {
				found, err := q.Conversation(c.Context(), service, ref)
				if err != nil {
					return err
				}
				return showOne(c.OutOrStdout(), *flags.output, conversationView, shown(found))
			})
		})
	}
	return c
}

// anyOr looks a SID up wherever it is, and a name in the service.
func (r *reading) anyOr(service, ref string) string {
	if service == "" && strings.HasPrefix(ref, "CH") && len(ref) == 34 {
		return ""
	}
	return r.in(service)
}

func conversationList() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List conversations, newest first", Args: noArguments,
		Example: "  parley conversation list --state active --limit 20",
	}
	flags, service, limit := addReadFlags(c), serviceFlag(c), limitFlag(c)
	state := c.Flags().String("state", "", "active, inactive or closed")
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch *state {
		case "", events.StateActive, events.StateInactive, events.StateClosed, events.StateInitializing:
		default:
			return usage("--state %q: active, inactive or closed", *state)
		}
		return withReading(c.Context(), *flags.data, func(r *reading) error {
			filter := projections.ConversationFilter{Service: r.in(*service), State: *state}
			return show(c.OutOrStdout(), *flags.output, conversationView, func(yield func(shownConversation) error) error {
				return pages(*limit, func(p projections.Page) (projections.List[projections.Conversation], error) {
					return r.queries.Conversations(c.Context(), filter, p)
				}, func(row projections.Conversation) error { return yield(shown(row)) })
			})
		})
	}
	return c
}

// moment is one event of a conversation, as its timeline shows it.
type moment struct {
	Revision uint64          `json:"revision"`
	Lane     string          `json:"lane"`
	Recorded time.Time       `json:"recorded"`
	Occurred time.Time       `json:"occurred"`
	Type     string          `json:"type"`
	Actor    events.Actor    `json:"actor"`
	Command  string          `json:"command,omitempty"`
	Data     json.RawMessage `json:"data"`
}

var momentView = view[moment]{
	columns: []string{"revision", "recorded", "lane", "what", "actor", "details"},
	cells: func(m moment) []string {
		what := strings.TrimPrefix(m.Type, "conversation.")
		actor := string(m.Actor.Kind)
		if m.Actor.ID != "" {
			actor += " " + m.Actor.ID
		}
		return []string{fmt.Sprint(m.Revision), stamp(m.Recorded), m.Lane, what, short(actor, 24), short(details(m), 72)}
	},
}

// details picks what people look for in an event.
func details(m moment) string {
	event, err := events.Vocabulary().Decode(m.Type, m.Data)
	if err != nil {
		return err.Error()
	}
	switch e := event.(type) {
	case events.ConversationStateChanged:
		return fmt.Sprintf("%s → %s (%s)%s", e.From, e.To, e.Reason, due(e.Due))
	case events.TimerOperated:
		return fmt.Sprintf("%s%s: %s", e.Action, due(e.Due), e.Reason)
	case events.MessageAdded:
		return fmt.Sprintf("#%d %s: %s", e.Index, e.Author, e.Body)
	case events.ParticipantAdded:
		return strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Participant, e.Identity, e.Binding.Address))
	case events.DeliveryUpdated:
		return fmt.Sprintf("%s %s", e.Status, e.Message)
	case events.ReadHorizonMoved:
		return fmt.Sprintf("%s read up to %d", e.Participant, e.Index)
	default:
		return string(m.Data)
	}
}

func due(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " due " + stamp(t)
}
