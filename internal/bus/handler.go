package bus

import (
	"context"
	"errors"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus/access"
	"github.com/parley-engine/parley/internal/bus/pubsub"
	"github.com/parley-engine/parley/internal/engine"
)

// exchange is one command on its way through the middleware. Only the goroutine
// that handles it touches it.
type exchange struct {
	*pubsub.Delivery
	command   engine.Command    // zero until it was read
	attempts  int               // so far
	letter    *DeadLetter       // the one being redriven, else nil
	authority *access.Authority // what its sender is held to; nil: to nothing
	given     events.ID         // the id that a sender who is held to an account gave
	result    string            // for the metrics: ok, or the kind of failure
}

func (x *exchange) door() string {
	if x.Sequence > 0 {
		return doorSend
	}
	return doorCall
}

func exchangeOf(m *message.Message) *exchange {
	return pubsub.FromContext(m.Context()).Note.(*exchange)
}

// handle is the one handler behind both doors: read, execute, answer.
func (b *Bus) handle(m *message.Message) error {
	x := exchangeOf(m)
	x.attempts++
	var err error
	if x.command, err = b.names.decode(x.Delivery, b.opts.MaxCommandBytes); err != nil {
		return err
	}
	if err := b.confine(m.Context(), x); err != nil {
		return err
	}
	outcome, err := b.execute(m.Context(), x.command)
	if err != nil {
		return err
	}
	if x.authority != nil {
		outcome.CommandID = x.given
	}
	x.result = resultOK
	b.reply(x, Reply{OK: true, Outcome: &outcome})
	return nil
}

// settle is the outermost middleware. It gives every command its turn, answers
// every failure, and sees to it that a durable command is acknowledged only
// when it is done or kept as a dead letter.
func (b *Bus) settle(next message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		ctx := m.Context()
		x := &exchange{Delivery: pubsub.FromContext(ctx)}
		x.Note = x
		failure, err := b.admit(ctx, x)
		if err != nil {
			return nil, err
		}
		if failure == nil {
			_, err = next(m)
		} else {
			err = failure
		}
		err = b.conclude(ctx, x, err)
		b.metrics.count(x.door(), x.result)
		return nil, err
	}
}

// admit finds out who sent the command, and whether it is its turn.
func (b *Bus) admit(ctx context.Context, x *exchange) (failure *engine.Failure, err error) {
	if x.authority, err = authorityOf(x.Delivery); err != nil {
		return invalid(CodeInvalid, "subject", "%v", err), nil
	}
	failure, err = b.takeTurn(ctx, x)
	if failure != nil || err != nil || x.letter == nil {
		return failure, err
	}
	if x.authority, err = authorityOf(x.Delivery); err != nil { // a redriven letter has its own
		return invalid(CodeInvalid, "subject", "%v", err), nil
	}
	return nil, nil
}

// conclude turns what became of the command into a reply, a dead letter, or an
// error that makes the lane try again.
func (b *Bus) conclude(ctx context.Context, x *exchange, err error) error {
	if err == nil {
		return b.resolve(ctx, x)
	}
	if b.givenUp(ctx, x, err) {
		x.result = "put_back"
		return err
	}
	failure := failureOf(err)
	x.result = failure.Kind
	if failure.Kind == engine.KindInternal {
		b.log.Error("command failed", "subject", x.Subject, "err", err, "cause", errors.Unwrap(failure))
	}
	if x.Sequence > 0 && hopeless(x, err, failure) {
		if err := b.bury(ctx, x, failure, err); err != nil {
			b.log.Error("dead letter was not kept; the command is tried again", "subject", x.Subject, "err", err)
			return err
		}
	} else if err := b.resolve(ctx, x); err != nil {
		return err
	}
	b.reply(x, failed(failure))
	return nil
}

// givenUp reports a durable command that was cut short by a stop: it is not
// dead, it comes again.
func (b *Bus) givenUp(ctx context.Context, x *exchange, err error) bool {
	if x.Sequence == 0 {
		return false
	}
	if ctx.Err() != nil {
		return true
	}
	select {
	case <-b.stopping:
		return failureOf(err).Retryable || errors.Is(err, context.Canceled)
	default:
		return false
	}
}

// hopeless is what becomes a dead letter: bytes nobody can read, failures that
// did not pass, and faults of ours. A refusal is an answer; so are unreadable bytes to
// who is held to an account, or else he could park the aggregates of others.
func hopeless(x *exchange, err error, f *engine.Failure) bool {
	return f.Kind == engine.KindInternal || f.Retryable || f.Code == CodeParked || x.authority == nil && errors.As(err, new(unreadable))
}

// retry repeats a durable command that failed for a passing reason, in its
// lane, so nothing of the aggregate overtakes it. A caller decides for himself.
// (Watermill's own Retry would sleep through a stop and does not know how long
// a failure asks to wait.)
func (b *Bus) retry(next message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		ctx := m.Context()
		x := exchangeOf(m)
		pause := b.opts.FirstPause
		for {
			m.SetContext(ctx) // the last attempt's has timed out
			_, err := next(m)
			if err == nil || x.Sequence == 0 || x.attempts > b.opts.Retries || !failureOf(err).Retryable {
				return nil, err
			}
			if !b.rest(ctx, max(pause, failureOf(err).RetryAfter)) {
				return nil, err
			}
			pause = min(2*pause, b.opts.LongestPause)
		}
	}
}

// rest pauses; false when there is no more time to try again.
func (b *Bus) rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-b.stopping:
	case <-ctx.Done():
	}
	return false
}
