package webhooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
)

// Codes of what goes wrong with a pre-event; they are logged, not answered.
const (
	codeFailed   = 50057
	codeTimedOut = 50076
)

// Refused is the failure of a command that a webhook does not want (reference 8.5).
const Refused = "webhook_refused"

var errNoAccount = errors.New("a command that webhooks are asked about names no account")

// Arrival is the message that is the reason for a new conversation (reference 9.2).
type Arrival struct {
	Body    string
	Media   []events.Media
	Binding events.Binding // of the sender
}

// Before asks the account's or service's webhook whether a command may be done, and
// returns it as the webhook wants it. Which commands are asked about is up to the
// caller, who names the command's account and gives its Fields. The error is a
// *engine.Failure of code Refused, for an answer of 4xx or 5xx. Everything else that goes
// wrong leaves the command as it is and is logged. A command that names nothing to be
// changed comes back unasked: the engine refuses it. What a user may not ask for is refused
// here, as the engine would, and the webhook is not asked.
//
// When ctx ends before the answer the error is another *engine.Failure, retryable: who
// hangs up does not get past the webhook.
//
// It waits for the answer, five seconds at most. A command that is sent again is asked
// about again: it is the same command as before only if the answer is the same.
func (h *Hooks) Before(ctx context.Context, c engine.Command) (engine.Command, error) {
	return h.BeforeArrival(ctx, c, Arrival{})
}

// BeforeArrival is Before for a conversation that a message begins.
func (h *Hooks) BeforeArrival(ctx context.Context, c engine.Command, a Arrival) (engine.Command, error) {
	name := asks(c.Fields)
	if name == "" {
		return c, nil
	}
	if c.Account == "" {
		return c, engine.AsFailure(errNoAccount) // whose webhooks?
	}
	config, err := h.c.Engine.Webhooks(ctx, c.Account, c.Service)
	if err != nil {
		return c, engine.AsFailure(err)
	}
	if config.PreWebhookURL == "" || !calls(config) || !slices.Contains(config.Filters, name) {
		return c, nil
	}
	if err := h.permitted(ctx, c); err != nil {
		return c, err
	}
	parameters, err := h.proposed(ctx, c, a)
	if err == nil && parameters == nil {
		return c, nil
	}
	var said answer
	if err == nil {
		parameters["EventType"] = name
		said, err = h.send(ctx, uuid.NewString(), call{URL: config.PreWebhookURL, Method: config.Method, Account: c.Account, Parameters: parameters})
	}
	switch {
	case ctx.Err() != nil:
		return c, engine.AsFailure(ctx.Err())
	case err != nil:
		h.unasked(c, name, codeOf(err), err)
		return c, nil
	}
	return h.obey(c, name, said)
}

// permitted refuses what a user may not ask for, as the engine does, so that the
// application is neither asked about it nor shown what it is about.
func (h *Hooks) permitted(ctx context.Context, c engine.Command) error {
	if c.Actor.Kind != events.ActorUser {
		return nil
	}
	return h.c.Engine.Permits(ctx, c)
}

func codeOf(err error) int {
	var slow interface{ Timeout() bool }
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout() {
		return codeTimedOut
	}
	return codeFailed
}

// unasked logs that a command is done though the webhook could not be asked.
func (h *Hooks) unasked(c engine.Command, name string, code int, err error) {
	h.c.Asked(Unheard)
	h.c.Logger.Warn("a pre-event webhook was not heard; the command goes on unchanged", "code", code, "event", name,
		"account", c.Account, "aggregate", c.Aggregate, "command", c.ID, "err", err)
}

// obey does what the answer says.
func (h *Hooks) obey(c engine.Command, name string, said answer) (engine.Command, error) {
	switch {
	case said.status >= 400:
		h.c.Asked(Denied)
		return c, &engine.Failure{Kind: string(domain.PermissionDenied), Code: Refused, Twilio: 50056,
			Message: "The webhook of the account or service refused this"}
	case said.status >= 300:
		h.unasked(c, name, codeFailed, fmt.Errorf("answered %d, and redirects are not followed", said.status))
		return c, nil
	case said.broke != nil:
		h.unasked(c, name, codeOf(said.broke), fmt.Errorf("the answer broke off: %w", said.broke))
		return c, nil //nolint:nilerr // it is logged; the command goes on
	}
	var wanted changes
	if body := bytes.TrimSpace(said.body); len(body) == 0 {
		h.c.Asked(Agreed)
		return c, nil
	} else if err := json.Unmarshal(body, &wanted); err != nil {
		h.unasked(c, name, codeFailed, errors.New("the answer is not a JSON object of texts"))
		return c, nil //nolint:nilerr // likewise
	}
	h.c.Asked(Agreed)
	c.Fields = wanted.apply(c.Fields)
	return c, nil
}

// changes is what an answer may replace.
type changes struct {
	FriendlyName *string `json:"friendly_name"`
	Body         *string `json:"body"`
	Author       *string `json:"author"`
	Attributes   *text   `json:"attributes"`
}

// text is a JSON text, or any other JSON value, whose text it is then.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) == nil {
		*t = text(s)
		return nil
	}
	var compact bytes.Buffer
	err := json.Compact(&compact, data)
	*t = text(compact.String())
	return err
}

func replace(field *string, with *string) {
	if with != nil {
		*field = *with
	}
}

func given(field **string, with *string) {
	if with != nil {
		*field = with
	}
}
