package main

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
)

// timerOperation makes a command of an operator on a running timer.
type timerOperation struct {
	sendFlags
	reason string
}

func (o *timerOperation) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.data, "data", ".parley", "data folder")
	f.StringVar(&o.service, "service", "", "SID of the service in which a unique name is meant (default: the account's default service)")
	f.StringVar(&o.id, "id", "", "command id, a UUID (default: a new one)")
	f.StringVar(&o.reason, "reason", "", "why; it is needed, and kept in the event")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "how long to wait for the outcome")
}

// run sends the command and shows its outcome.
func (o *timerOperation) run(c *cobra.Command, ref string, body interface{ CommandType() string }) error {
	if o.reason == "" {
		return usage("--reason is needed")
	}
	command := engine.Command{ID: events.ID(uuid.New()), Type: body.CommandType()}
	var err error
	if o.id != "" {
		if command.ID, err = events.ParseID(o.id); err != nil {
			return usage("--id: %v", err)
		}
	}
	if command.Body, err = json.Marshal(body); err != nil {
		return err
	}
	err = withReading(c.Context(), o.data, func(r *reading) (err error) {
		command.Aggregate, err = r.sidOf(c.Context(), o.service, ref)
		return err
	})
	if err != nil {
		return err
	}
	outcome, err := o.send(c.Context(), command)
	if err != nil {
		return err
	}
	return printJSON(c.OutOrStdout(), outcome)
}

func timerFire() *cobra.Command {
	o := &timerOperation{}
	c := &cobra.Command{
		Use: "fire CH…|UNIQUE_NAME", Short: "Let the running timer fire now", Args: oneArgument("conversation"),
		Long: `Let the timer that runs fire now instead of when it is due: an active conversation
becomes inactive, or closed where only the closed timer is set, an inactive one closed.
The next timer counts from now. Needs a running server.`,
		Example: "  parley timer fire order-1042 --reason 'the customer has left'",
	}
	o.flags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return o.run(c, args[0], conversation.FireTimer{Reason: o.reason})
	}
	return c
}

func timerPostpone() *cobra.Command {
	o := &timerOperation{}
	c := &cobra.Command{
		Use: "postpone CH…|UNIQUE_NAME", Short: "Let the running timer fire later", Args: oneArgument("conversation"),
		Long: `Let the timer that runs fire later: --by longer than it would, or --to an instant. A
message restarts it as ever, but never to before that. Where both timers are set the closed
one counts from when the conversation becomes inactive, and so comes later as well. Needs a
running server.`,
		Example: "  parley timer postpone order-1042 --by P2D --reason 'waiting for the parcel'\n  parley timer postpone order-1042 --to 2026-12-01T09:00:00Z --reason holidays",
	}
	o.flags(c)
	by := c.Flags().String("by", "", "how much later, in ISO 8601, as in PT1H or P2D")
	to := c.Flags().String("to", "", "the instant, as in 2026-12-01T09:00:00Z")
	c.RunE = func(c *cobra.Command, args []string) error {
		if (*by == "") == (*to == "") {
			return usage("either --by or --to is needed")
		}
		command := conversation.PostponeTimer{By: *by, Reason: o.reason}
		if *to != "" {
			at, err := time.Parse(time.RFC3339Nano, *to)
			if err != nil {
				return usage("--to %q is not an instant such as 2026-12-01T09:00:00Z", *to)
			}
			command.To = at.UTC()
		}
		return o.run(c, args[0], command)
	}
	return c
}

func timerCancel() *cobra.Command {
	o := &timerOperation{}
	c := &cobra.Command{
		Use: "cancel CH…|UNIQUE_NAME", Short: "Take a conversation's timers away", Args: oneArgument("conversation"),
		Long: `Take a conversation's timers away: none runs, and later messages start none, until timers
are set again. Needs a running server.`,
		Example: "  parley timer cancel order-1042 --reason 'under investigation'",
	}
	o.flags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return o.run(c, args[0], conversation.CancelTimers{Reason: o.reason})
	}
	return c
}
