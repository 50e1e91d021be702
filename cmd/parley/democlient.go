package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/engine"
)

// The story that the demo's second process tells.
const (
	storyName     = "order-1042"
	storyMessages = 120
	storyCrowd    = 4 // other conversations, written to at the same time
	storyPhone    = "+15550100"
	storyNumber   = "+15550199" // ours
	storyStranger = "+15550142"
)

// ack is one acknowledged command, as the second process reports it.
type ack struct {
	ID        events.ID `json:"id"`
	Command   string    `json:"command"`
	Aggregate string    `json:"aggregate"`
	Name      string    `json:"name,omitempty"`
	Sid       string    `json:"sid"`
	Index     *int64    `json:"index,omitempty"`
}

func demoClientCommand() *cobra.Command {
	c := &cobra.Command{Use: "client", Hidden: true, Short: "The second process of the demo", Args: noArguments}
	data := dataFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withClient(folder(*data), func(client *bus.Client) error {
			return (&teller{client: client, acks: make(chan ack)}).tell(c.Context(), c.OutOrStdout())
		})
	}
	return c
}

// teller sends the story's commands and reports each acknowledgement.
type teller struct {
	client *bus.Client
	acks   chan ack
}

func (t *teller) tell(ctx context.Context, out io.Writer) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(t.acks)
		crowd, ctx := errgroup.WithContext(ctx)
		crowd.Go(func() error { return t.order(ctx) })
		for n := range storyCrowd {
			crowd.Go(func() error { return t.chatter(ctx, n) })
		}
		return crowd.Wait()
	})
	encoder := json.NewEncoder(out)
	for a := range t.acks {
		if err := encoder.Encode(a); err != nil {
			return errors.Join(err, group.Wait())
		}
	}
	return group.Wait()
}

// do sends one command until it is answered: always the same id, so that
// however often it is sent, it is done once. Every other one is durable.
func (t *teller) do(ctx context.Context, durable bool, commandType, aggregate string, fields map[string]any) (engine.Outcome, error) {
	body, err := json.Marshal(fields)
	if err != nil {
		return engine.Outcome{}, err
	}
	command := engine.Command{ID: events.ID(uuid.New()), Type: commandType, Aggregate: aggregate, Body: body}
	send := t.client.Call
	if durable {
		send = t.client.Send
	}
	for {
		attempt, cancel := context.WithTimeout(ctx, time.Second)
		outcome, err := send(attempt, command)
		cancel()
		var failure *engine.Failure
		switch {
		case err == nil:
			name, _ := fields["unique_name"].(string)
			t.acks <- ack{command.ID, commandType, outcome.Aggregate, name, outcome.Sid, outcome.Index}
			return outcome, nil
		case errors.As(err, &failure) && !failure.Retryable:
			return outcome, fmt.Errorf("%s: %w", commandType, err)
		case ctx.Err() != nil:
			return outcome, ctx.Err()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (t *teller) order(ctx context.Context) error {
	do := func(commandType, aggregate string, fields map[string]any) (engine.Outcome, error) {
		return t.do(ctx, false, commandType, aggregate, fields)
	}
	ch, err := do("conversation.create", "", map[string]any{
		"unique_name": storyName, "friendly_name": "Order 1042",
		"timers": map[string]string{"inactive": "PT2S", "closed": "PT2S"},
	})
	if err != nil {
		return err
	}
	mg, err := t.messagingService(ctx)
	if err != nil {
		return err
	}
	if _, err := do("conversation.update", ch.Sid, map[string]any{"messaging_service": mg}); err != nil {
		return err
	}
	for _, p := range []map[string]any{
		{"identity": "alice"},
		{"address": storyPhone, "proxy_address": storyNumber},
		{"address": "whatsapp:" + storyPhone, "proxy_address": "whatsapp:" + storyNumber},
	} {
		if _, err := do("conversation.add-participant", ch.Sid, p); err != nil {
			return err
		}
	}
	if err := t.talk(ctx, ch.Sid); err != nil {
		return err
	}
	if _, err := do("address.create", "", map[string]any{"type": "sms", "address": storyNumber, "auto_creation": map[string]any{"enabled": true}}); err != nil {
		return err
	}
	return errors.Join(t.hear(ctx, storyPhone, "When does it come?"), t.hear(ctx, storyStranger, "Do you have it in blue?"))
}

// hear has an SMS come from outside, as a carrier hands it over: twice.
func (t *teller) hear(ctx context.Context, from, text string) error {
	data, err := json.Marshal(map[string]any{"id": "sms from " + from, "from": from, "to": []string{storyNumber}, "body": text})
	for range 2 {
		if err == nil {
			err = t.client.Report(ctx, "loopback", "inbound", data)
		}
	}
	return err
}

// messagingService makes one for the account that the engine works on by
// default, which the conversation tells.
func (t *teller) messagingService(ctx context.Context) (string, error) {
	mg, err := t.do(ctx, false, "account.add-messaging-service", "", map[string]any{"friendly_name": "Numbers", "senders": []string{storyNumber, "whatsapp:" + storyNumber}})
	return mg.Sid, err
}

func (t *teller) talk(ctx context.Context, ch string) error {
	for n := range storyMessages {
		if _, err := t.do(ctx, n%2 == 1, "conversation.add-message", ch, map[string]any{"author": "alice", "body": fmt.Sprintf("message %d", n)}); err != nil {
			return err
		}
	}
	return nil
}

// chatter keeps the engine busy with a conversation beside the story.
func (t *teller) chatter(ctx context.Context, n int) error {
	ch, err := t.do(ctx, false, "conversation.create", "", map[string]any{"friendly_name": fmt.Sprintf("Beside %d", n)})
	if err != nil {
		return err
	}
	for i := range storyMessages {
		if _, err := t.do(ctx, i%2 == 0, "conversation.add-message", ch.Sid, map[string]any{"body": fmt.Sprintf("message %d", i)}); err != nil {
			return err
		}
	}
	return nil
}
