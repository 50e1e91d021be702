package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/store"
)

// AsFailure says what an error of the engine means to a caller. It returns nil
// for nil.
func AsFailure(err error) *Failure {
	var failure *Failure
	var refusal *domain.Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failure):
		return failure
	case errors.As(err, &refusal):
		return &Failure{Kind: string(refusal.Kind), Code: refusal.Code, Field: refusal.Field,
			Twilio: refusal.Twilio, Message: refusal.Message, cause: err}
	case errors.Is(err, store.ErrTooLarge):
		return &Failure{Kind: KindPayloadTooLarge, Code: "payload_too_large", Message: "The command makes an event over the log's limit", cause: err}
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrClosed),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unavailable("unavailable", "The outcome is not known; send the same command id again", err)
	default:
		return &Failure{Kind: KindInternal, Code: "internal", Message: "Something went wrong inside; the log of the server says what", cause: err}
	}
}

// retryAfter is the advice that goes with back-pressure.
const retryAfter = time.Second

func unavailable(code, message string, cause error) *Failure {
	return &Failure{Kind: KindUnavailable, Code: code, Message: message, Retryable: true, RetryAfter: retryAfter, cause: cause}
}

func invalid(code, field, message string) *Failure {
	return &Failure{Kind: string(domain.InvalidArgument), Code: code, Field: field, Message: message}
}

func notFound(message string) *domain.Refusal {
	return domain.Refuse(domain.NotFound, "not_found", "", 20404, "%s", message)
}

func tooLarge() *Failure {
	return &Failure{Kind: KindPayloadTooLarge, Code: "payload_too_large", Field: "data",
		Message: fmt.Sprintf("A command's data is limited to %d bytes", MaxBodyBytes)}
}
