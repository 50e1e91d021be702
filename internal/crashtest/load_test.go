package crashtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/engine"
)

// What clients fight for, and for how long they wait before they ask again.
const (
	rivalNames  = 12
	rivalPairs  = 8
	identities  = 25
	ownTalks    = 6
	longestWait = time.Second
)

type fields map[string]any

// client sends one command after the other, each until it is answered.
type client struct {
	number int
	bus    *bus.Client
	rest   *restDoor
	ledger *ledger
	random *rand.Rand
	common string // a conversation that everybody writes to
	steady string // a conversation of its own that nobody closes
	talks  []*dialog
}

// dialog is what a client remembers of one of its conversations.
type dialog struct {
	sid          string
	messages     []string // SIDs
	participants []string // SIDs of those with an address
	readers      []string // identities
}

// door is how a command goes in. A mixed one changes doors with every attempt.
type door int

const (
	byCall door = iota
	bySend
	mixed
	doors
)

// work sends commands until the context ends.
func (c *client) work(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := c.step(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("client %d: %w", c.number, err)
		}
	}
	return nil
}

func (c *client) step(ctx context.Context) error {
	if len(c.talks) == 0 || len(c.talks) < ownTalks && c.random.IntN(10) == 0 {
		return c.open(ctx)
	}
	i := c.random.IntN(len(c.talks))
	d := c.talks[i]
	switch n := c.random.IntN(100); {
	case n < 30:
		return c.say(ctx, d)
	case n < 37:
		return c.sayOverREST(ctx)
	case n < 45:
		_, err := c.do(ctx, "conversation.add-message", c.common, fields{"body": c.text()})
		return err
	case n < 60:
		return c.post(ctx)
	case n < 70:
		return c.invite(ctx, d)
	case n < 80:
		return c.edit(ctx, d)
	case n < 88:
		return c.deliver(ctx, d)
	case n < 95:
		return c.read(ctx, d)
	default:
		return c.end(ctx, i)
	}
}

func (c *client) text() string {
	return fmt.Sprintf("text %d of client %d", c.random.Uint32(), c.number)
}

// do sends a command until it is answered. A refusal is an answer.
func (c *client) do(ctx context.Context, commandType, aggregate string, f fields) (engine.Outcome, error) {
	command, err := c.command(commandType, aggregate, f)
	if err != nil {
		return engine.Outcome{}, err
	}
	way := door(c.random.IntN(int(doors)))
	for attempt := 0; ctx.Err() == nil; attempt++ {
		send := c.bus.Call
		if way == bySend || way == mixed && attempt%2 == 1 {
			send = c.bus.Send
		}
		wait, cancel := context.WithTimeout(ctx, longestWait)
		outcome, err := send(wait, command)
		cancel()
		var failure *engine.Failure
		switch {
		case err == nil:
			c.ledger.ack(ack{c.number, outcome})
			return outcome, nil
		case errors.As(err, &failure) && failure.Kind == engine.KindInternal:
			return outcome, fmt.Errorf("%s: %w", commandType, err)
		case errors.As(err, &failure) && !failure.Retryable:
			if way == byCall {
				c.ledger.refuse(refusal{command.ID, failure.Code})
			}
			return outcome, nil
		}
		pause(ctx)
	}
	return engine.Outcome{}, ctx.Err()
}

func (c *client) command(commandType, aggregate string, f fields) (engine.Command, error) {
	body, err := json.Marshal(f)
	var id events.ID
	for i := range id {
		id[i] = byte(c.random.Uint32())
	}
	return engine.Command{ID: id, Type: commandType, Aggregate: aggregate, Body: body}, err
}

// pause lets a dead engine come back.
func pause(ctx context.Context) {
	select {
	case <-time.After(20 * time.Millisecond):
	case <-ctx.Done():
	}
}

// post makes a message durable, whether or not an engine is there, and goes on.
func (c *client) post(ctx context.Context) error {
	command, err := c.command("conversation.add-message", c.steady, fields{"body": c.text()})
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		wait, cancel := context.WithTimeout(ctx, longestWait)
		err := c.bus.Post(wait, command)
		cancel()
		if err == nil {
			c.ledger.post(post{c.number, command.ID, c.steady})
			return nil
		}
		pause(ctx)
	}
	return ctx.Err()
}

func (c *client) open(ctx context.Context) error {
	f := fields{"friendly_name": c.text()}
	if c.random.IntN(2) == 0 {
		f["unique_name"] = fmt.Sprintf("name-%d", c.random.IntN(rivalNames))
	}
	if c.random.IntN(3) == 0 {
		f["timers"] = fields{"inactive": "PT1S", "closed": "PT2S"}
	}
	outcome, err := c.do(ctx, "conversation.create", c.fresh("CH"), f)
	if outcome.Sid != "" {
		c.talks = append(c.talks, &dialog{sid: outcome.Sid})
	}
	return err
}

// fresh is a SID or, as often, nothing: then the engine makes one.
func (c *client) fresh(prefix string) string {
	if c.random.IntN(2) == 0 {
		return ""
	}
	return domain.SID(prefix, fmt.Sprint(c.number, c.random.Uint64()))
}

func (c *client) say(ctx context.Context, d *dialog) error {
	outcome, err := c.do(ctx, "conversation.add-message", d.sid, fields{"body": c.text()})
	if outcome.Sid != "" {
		d.messages = append(d.messages, outcome.Sid)
	}
	return err
}

func (c *client) invite(ctx context.Context, d *dialog) error {
	if c.random.IntN(2) == 0 {
		identity := fmt.Sprintf("person-%d", c.random.IntN(identities))
		outcome, err := c.do(ctx, "conversation.add-participant", d.sid, fields{"identity": identity})
		if outcome.Sid != "" {
			d.readers = append(d.readers, identity)
		}
		return err
	}
	n := c.random.IntN(rivalPairs)
	outcome, err := c.do(ctx, "conversation.add-participant", d.sid, fields{
		"address": fmt.Sprintf("+1555010%d", n), "proxy_address": "+15550199",
	})
	if outcome.Sid != "" {
		d.participants = append(d.participants, outcome.Sid)
	}
	return err
}

func (c *client) edit(ctx context.Context, d *dialog) error {
	if len(d.messages) == 0 {
		return c.say(ctx, d)
	}
	_, err := c.do(ctx, "conversation.edit-message", d.sid, fields{"message": c.one(d.messages), "body": c.text()})
	return err
}

func (c *client) deliver(ctx context.Context, d *dialog) error {
	if len(d.messages) == 0 || len(d.participants) == 0 {
		return c.invite(ctx, d)
	}
	status := c.one([]string{"sent", "delivered", "read", "failed", "undelivered"})
	_, err := c.do(ctx, "conversation.record-delivery", d.sid, fields{
		"message": c.one(d.messages), "participant": c.one(d.participants), "status": status,
	})
	return err
}

func (c *client) read(ctx context.Context, d *dialog) error {
	if len(d.messages) == 0 || len(d.readers) == 0 {
		return c.invite(ctx, d)
	}
	_, err := c.do(ctx, "conversation.move-read-horizon", d.sid, fields{
		"participant": c.one(d.readers), "index": c.random.IntN(len(d.messages)), "advance": c.random.IntN(2) == 0,
	})
	return err
}

// end takes somebody out, or closes or removes the conversation.
func (c *client) end(ctx context.Context, i int) error {
	d := c.talks[i]
	switch n := c.random.IntN(3); {
	case n == 0 && len(d.participants) > 0:
		_, err := c.do(ctx, "conversation.remove-participant", d.sid, fields{"participant": c.one(d.participants)})
		return err
	case n == 1:
		_, err := c.do(ctx, "conversation.update", d.sid, fields{"state": "closed"})
		return err
	default:
		c.talks = append(c.talks[:i], c.talks[i+1:]...)
		_, err := c.do(ctx, "conversation.remove", d.sid, fields{})
		return err
	}
}

func (c *client) one(of []string) string { return of[c.random.IntN(len(of))] }
