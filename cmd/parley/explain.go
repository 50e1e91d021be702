package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
)

// cause is why a field of a conversation has its value: the event that set it, the
// command that led to the event, and for a timer the policy that it followed.
type cause struct {
	Field       string          `json:"field"`
	Value       any             `json:"value"`
	Revision    uint64          `json:"revision"`
	Position    events.Position `json:"position"`
	Recorded    time.Time       `json:"recorded"`
	Type        string          `json:"type"`
	Actor       events.Actor    `json:"actor"`
	Command     string          `json:"command,omitempty"`
	CommandID   string          `json:"command_id,omitempty"`
	Correlation string          `json:"correlation_id,omitempty"`
	Causation   string          `json:"causation_id,omitempty"`
	Reason      string          `json:"reason,omitempty"`
	Operator    string          `json:"operator_reason,omitempty"` // why an operator did it
	Due         time.Time       `json:"due,omitzero"`
	Policy      string          `json:"policy,omitempty"`       // the timers in force
	PolicySince *uint64         `json:"policy_since,omitempty"` // revision of the event that set them
	Idle        time.Time       `json:"counted_from,omitzero"`  // what the timer counted from
}

var causeView = view[cause]{
	columns: []string{"field", "value", "revision", "recorded", "what", "command", "actor", "why"},
	cells: func(c cause) []string {
		why := c.Reason
		if c.Policy != "" {
			why = fmt.Sprintf("timer %s (set at revision %d) counted from %s, due %s", c.Policy, *c.PolicySince, stamp(c.Idle), stamp(c.Due))
		}
		return []string{
			c.Field, short(textOf(c.Value), 40), fmt.Sprint(c.Revision), stamp(c.Recorded), c.Type, c.Command,
			short(string(c.Actor.Kind)+" "+c.Actor.ID, 32), why,
		}
	},
}

// textOf is a value of a row as text; what has fields is JSON.
func textOf(value any) string {
	switch value.(type) {
	case nil:
		return ""
	case map[string]any, []any:
		text, _ := json.Marshal(value) // it came from JSON
		return string(text)
	}
	return fmt.Sprint(value)
}

func conversationExplain() *cobra.Command {
	c := &cobra.Command{
		Use: "explain CH…|UNIQUE_NAME [FIELD]", Short: "Show why a conversation is as it is",
		Long: `Show why a conversation is as it is: for each field the last event that changed it, the
command that led to the event, who gave it, and for what a timer did the policy that it
followed. With a field, all its values in order, the present one last. The fields are
those of "parley conversation get -o json".`,
		Example: "  parley conversation explain order-1042\n  parley conversation explain order-1042 state -o json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usage("a conversation is needed, and perhaps a field")
			}
			return nil
		},
	}
	flags, service, asOf := addReadFlags(c), serviceFlag(c), asOfFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		field := ""
		if len(args) == 2 {
			field = args[1]
		}
		return withReading(c.Context(), *flags.data, func(r *reading) error {
			causes, err := r.causes(c, *asOf, *service, args[0], field)
			if err != nil {
				return err
			}
			return show(c.OutOrStdout(), *flags.output, causeView, each(causes))
		})
	}
	return c
}

// bookkeeping are fields that every event changes.
var bookkeeping = []string{"last_revision", "position"}

// causes follows the history of a conversation.
func (r *reading) causes(c *cobra.Command, when when, service, ref, field string) ([]cause, error) {
	p, sid, err := r.moment(c.Context(), when, service, ref)
	if err != nil {
		return nil, err
	}
	e := explainer{field: field, last: map[string]int{}}
	if err := projections.Trace(c.Context(), sid, r.history(c.Context(), sid, p), e.see); err != nil {
		return nil, err
	}
	if !e.some {
		return nil, &projections.NotFoundError{Kind: "conversation", Name: ref}
	}
	if field != "" && len(e.causes) == 0 && !slices.Contains(fieldsOf(projections.Conversation{}), field) {
		return nil, usage("a conversation has no field %q", field)
	}
	return e.causes, nil
}

// explainer collects the causes of fields, all or the last of each.
type explainer struct {
	field  string
	some   bool
	causes []cause
	last   map[string]int // place of a field's cause, when the last is wanted
	said   struct {       // by an operator, with his last command
		command events.ID
		reason  string
	}
	policy uint64 // revision of the event that set the timers
}

func (x *explainer) see(e *events.Recorded, before, after projections.Conversation) error {
	x.some = true
	if err := x.listen(e); err != nil {
		return err
	}
	old, err := valuesOf(before)
	if err != nil {
		return err
	}
	now, err := valuesOf(after)
	if err != nil {
		return err
	}
	for _, name := range fieldsOf(after) {
		if textOf(old[name]) == textOf(now[name]) || slices.Contains(bookkeeping, name) || x.field != "" && x.field != name {
			continue
		}
		one, err := x.cause(e, before)
		if err != nil {
			return err
		}
		one.Field, one.Value = name, now[name]
		x.add(one)
	}
	if before.InactiveTimer != after.InactiveTimer || before.ClosedTimer != after.ClosedTimer {
		x.policy = e.Revision
	}
	return nil
}

// listen remembers why an operator did something, for the events of the same command.
func (x *explainer) listen(e *events.Recorded) error {
	if e.Type != (events.TimerOperated{}).EventType() {
		return nil
	}
	event, err := events.Vocabulary().Decode(e.Type, e.Data)
	if operated, is := event.(events.TimerOperated); is {
		x.said.command, x.said.reason = e.Metadata.CommandID, operated.Reason
	}
	return err
}

func (x *explainer) add(one cause) {
	if at, known := x.last[one.Field]; known && x.field == "" {
		x.causes[at] = one
		return
	}
	x.last[one.Field] = len(x.causes)
	x.causes = append(x.causes, one)
}

// cause is what an event says of itself.
func (x *explainer) cause(e *events.Recorded, before projections.Conversation) (cause, error) {
	m := e.Metadata
	one := cause{
		Revision: e.Revision, Position: e.Position, Recorded: e.Recorded, Type: e.Type, Actor: m.Actor, Command: m.Command,
		Correlation: m.Correlation, Causation: m.Causation,
	}
	if !m.CommandID.IsZero() {
		one.CommandID = m.CommandID.String()
	}
	if x.said.command == m.CommandID {
		one.Operator = x.said.reason
	}
	event, err := events.Vocabulary().Decode(e.Type, e.Data)
	changed, is := event.(events.ConversationStateChanged)
	if err != nil || !is {
		return one, err
	}
	one.Reason, one.Due = changed.Reason, changed.Due
	if changed.Reason == events.ReasonTimer {
		policy := x.policy
		one.Policy, one.PolicySince, one.Idle = before.ClosedTimer, &policy, before.TimerSince
		if changed.To == events.StateInactive {
			one.Policy = before.InactiveTimer
		}
	}
	return one, nil
}

// valuesOf are the fields of a row as JSON has them.
func valuesOf(row any) (values map[string]any, err error) {
	text, err := json.Marshal(row)
	if err == nil {
		err = json.Unmarshal(text, &values)
	}
	return values, err
}
