package gateway

import (
	"context"
	"fmt"
	"io"

	"github.com/parley-engine/parley/internal/channels/attempt"
	"github.com/parley-engine/parley/internal/channels/carrier"
)

// mostAnswer is how much of an answer is read, in bytes.
const mostAnswer = 64 << 10

// invalidRecipient is Twilio's code of a To that is none.
const invalidRecipient = 21211

// Send makes the request and judges the answer. A request that no answer came to
// is ErrUnknown unless it certainly never left.
func (g *Carrier) Send(ctx context.Context, m carrier.Outgoing) (carrier.Sent, error) {
	if len(m.To) == 0 || len(m.To) > 1 && !g.config.Send.Groups {
		return carrier.Sent{}, &carrier.Refused{Code: invalidRecipient, Reason: "the gateway takes no native groups"}
	}
	if err := ctx.Err(); err != nil {
		return carrier.Sent{}, fmt.Errorf("send to the gateway: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, seconds(g.config.Send.TimeoutSeconds))
	defer cancel()
	ctx, try := attempt.Watch(ctx)
	request, err := g.request.make(ctx, g.spelled(m))
	if err != nil {
		return carrier.Sent{}, &carrier.Refused{Reason: "the configuration makes no request of the message: " + err.Error()}
	}
	answer, err := g.client.Do(request)
	if err != nil {
		err = withoutAddress(err)
		if try.Left(err) {
			err = fmt.Errorf("%w: %w", carrier.ErrUnknown, err)
		}
		return carrier.Sent{}, fmt.Errorf("send to the gateway: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, mostAnswer))
	return g.answer.judge(reply{status: answer.StatusCode, header: answer.Header, body: body, broken: err, now: g.now()}, m.Key)
}

// spelled is the message with addresses as the gateway spells them.
func (g *Carrier) spelled(m carrier.Outgoing) carrier.Outgoing {
	to := make([]string, len(m.To))
	for i, address := range m.To {
		to[i] = g.config.gateways(address)
	}
	m.From, m.To = g.config.gateways(m.From), to
	return m
}
