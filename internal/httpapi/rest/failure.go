package rest

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
)

// problem is an error as a client sees it (reference 1.6).
type problem struct {
	status     int
	code       int
	message    string
	details    details
	retryAfter time.Duration
	accepts    string // of Accept-Encoding: what a body may be in
}

// details are Parley's addition to Twilio's error body.
type details struct {
	Code      string `json:"code,omitempty"`  // Parley's own, stable: conversation_closed
	Field     string `json:"field,omitempty"` // of the command, or the parameter
	Retryable bool   `json:"retryable,omitempty"`
}

func (p problem) Error() string { return p.message }

type problemBody struct {
	Code     int      `json:"code"`
	Message  string   `json:"message"`
	MoreInfo string   `json:"more_info"`
	Status   int      `json:"status"`
	Details  *details `json:"details,omitempty"`
}

func writeProblem(w http.ResponseWriter, p problem) {
	body := problemBody{Code: p.code, Message: p.message, Status: p.status, MoreInfo: "https://www.twilio.com/docs/errors/" + strconv.Itoa(p.code)}
	if p.details != (details{}) {
		body.Details = &p.details
	}
	h := w.Header()
	h["Content-Type"] = jsonContent
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	if p.accepts != "" {
		h.Set("Accept-Encoding", p.accepts)
	}
	if p.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="Twilio API"`)
	}
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(body) // the client may have left
}

// notFound is the one answer for whatever is not there, or not the caller's.
func notFound(path string) problem {
	const most = 300
	if len(path) > most {
		path = path[:most] + "…"
	}
	return problem{status: http.StatusNotFound, code: 20404, message: "The requested resource " + path + " was not found", details: details{Code: "not_found"}}
}

// invalidParameter refuses a parameter of a request.
func invalidParameter(code int, name, message string) problem {
	if code == 0 {
		code = 20422
	}
	return problem{status: http.StatusBadRequest, code: code, message: message, details: details{Code: "invalid_parameter", Field: name}}
}

func forbidden(message string) problem {
	return problem{status: http.StatusForbidden, code: 20403, message: message, details: details{Code: "forbidden"}}
}

// byKind is the status of a failure, and the code of one that Twilio has none for.
var byKind = map[string]struct{ status, code int }{
	string(domain.InvalidArgument):    {http.StatusBadRequest, 20422},
	string(domain.NotFound):           {http.StatusNotFound, 20404},
	string(domain.AlreadyExists):      {http.StatusConflict, 20409},
	string(domain.FailedPrecondition): {http.StatusBadRequest, 20409},
	string(domain.PermissionDenied):   {http.StatusForbidden, 20403},
	string(domain.QuotaExceeded):      {http.StatusForbidden, 20403},
	engine.KindVersionConflict:        {http.StatusPreconditionFailed, 20409},
	engine.KindIdempotencyConflict:    {http.StatusConflict, 20409},
	engine.KindExpired:                {http.StatusRequestTimeout, 20422},
	engine.KindPayloadTooLarge:        {http.StatusRequestEntityTooLarge, 20422},
	engine.KindUnavailable:            {http.StatusServiceUnavailable, 20500},
	engine.KindUnauthenticated:        {http.StatusUnauthorized, 20003},
	engine.KindInternal:               {http.StatusInternalServerError, 20500},
}

// byCode is the status of Twilio's codes that differ from their kind's.
var byCode = map[int]int{
	20409: http.StatusConflict,
	50361: http.StatusBadRequest, // too many webhooks
	50386: http.StatusConflict,   // not ready yet
	50436: http.StatusBadRequest, // group too big
}

// own are the codes that say that what the path names is not there: to clients
// that is 20404, whatever it is (reference 1.6).
var own = map[int]bool{50050: true, 50100: true, 50200: true, 50350: true, 50360: true, 50432: true, 50500: true}

// problemOf says what an error means to a client.
func problemOf(err error, path string) problem {
	var p problem
	var missing *projections.NotFoundError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &missing):
		return notFound(path)
	}
	return problemOfFailure(engine.AsFailure(err), path)
}

func problemOfFailure(f *engine.Failure, path string) problem {
	kind, known := byKind[f.Kind]
	if !known {
		kind = byKind[engine.KindInternal]
	}
	p := problem{status: kind.status, code: kind.code, message: f.Message, retryAfter: f.RetryAfter,
		details: details{Code: f.Code, Field: f.Field, Retryable: f.Retryable}}
	if f.Twilio != 0 {
		p.code = f.Twilio
	}
	if status, special := byCode[p.code]; special && f.Kind != engine.KindVersionConflict {
		p.status = status
	}
	if isOfPath(f, p.code) {
		return notFound(path)
	}
	p.inHeaders(f.Kind)
	return p
}

// inHeaders names what a request has instead of what the command has.
func (p *problem) inHeaders(kind string) {
	switch kind {
	case engine.KindVersionConflict:
		p.message, p.details.Field = "If-Match is not the ETag of what is there now", "If-Match"
	case engine.KindIdempotencyConflict:
		p.message, p.details.Field = "The Idempotency-Key was used for another request", "Idempotency-Key"
	}
}

// isOfPath reports whether a failure says that what the path names is not there;
// a SID that cannot be one is not there either.
func isOfPath(f *engine.Failure, code int) bool {
	if f.Code == "sid_malformed" {
		return f.Field == "aggregate" || f.Field != "" && namesPath(f.Field)
	}
	return f.Kind == string(domain.NotFound) && (code == 20404 || own[code] && namesPath(f.Field))
}

// namesPath reports whether a command's field comes from the path, as what the
// command is for does.
func namesPath(field string) bool {
	switch field {
	case "", "participant", "message", "webhook_sid":
		return true
	}
	return false
}
