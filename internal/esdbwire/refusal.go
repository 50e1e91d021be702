package esdbwire

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/parley-engine/parley/store"
)

// refusal is an answer that clients know: a status, the name that goes into the
// trailer with what belongs to it, and the message of a batch append.
type refusal struct {
	code    codes.Code
	text    string
	name    string   // "exception" in the trailer; empty: none
	with    []string // further keys and values
	details proto.Message
}

func (r *refusal) Error() string { return r.text }

func badRequest(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	return &refusal{code: codes.InvalidArgument, text: text, details: &shared.BadRequest{Message: text}}
}

var errDenied = &refusal{
	code: codes.PermissionDenied, text: "commands write Parley's streams, and this server may not write others",
	name: "access-denied", details: &shared.AccessDenied{},
}

func streamDeleted(stream string) error {
	return &refusal{
		code: codes.FailedPrecondition, text: fmt.Sprintf("stream %.60q is deleted for good", stream),
		name: "stream-deleted", with: []string{"stream-name", stream},
		details: &shared.StreamDeleted{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)}},
	}
}

func groupMissing(n groupName) error {
	return ofGroup(codes.NotFound, "persistent-subscription-does-not-exist", "does not exist", n)
}

func groupExists(n groupName) error {
	return ofGroup(codes.AlreadyExists, "persistent-subscription-exists", "exists already", n)
}

func groupFull(n groupName) error {
	return ofGroup(codes.FailedPrecondition, "maximum-subscribers-reached", "has all the consumers it may have", n)
}

func groupDropped(n groupName) error {
	return ofGroup(codes.Canceled, "persistent-subscription-dropped", "was ended or changed", n)
}

func ofGroup(code codes.Code, name, what string, n groupName) error {
	return &refusal{
		code: code, text: fmt.Sprintf("group %.60q of %.60q %s", n.Group, n.Stream, what),
		name: name, with: []string{"stream-name", n.Stream, "group-name", n.Group}, details: &shared.Unknown{},
	}
}

func tooLarge() error {
	return &refusal{
		code: codes.InvalidArgument, text: fmt.Sprintf("an append takes %d bytes of data", maxAppend),
		name: "maximum-append-size-exceeded", with: []string{"maximum-append-size", strconv.Itoa(maxAppend)},
		details: &shared.MaximumAppendSizeExceeded{MaxAppendSize: maxAppend},
	}
}

func tooMany() error { return badRequest("an append takes %d events", store.MaxBatch) }

// What EventStoreDB answers to a position that is no event's: a read, and a subscription.
// Clients know neither by a name.
var (
	errNoPlace = &refusal{code: codes.Unknown, text: "Unexpected ReadAllResult: Error: no event is at this position", details: &shared.Unknown{}}
	errNoStart = &refusal{code: codes.Unknown, text: "Exception was thrown by handler: no event is at this position", details: &shared.Unknown{}}
)

// wrongVersion says that a stream is not where a writer expects it.
type wrongVersion struct {
	stream   string
	expected expectation
	actual   store.Revision
}

func (w *wrongVersion) Error() string {
	return fmt.Sprintf("stream %.60q is at %d, not at %s", w.stream, w.actual, w.expected)
}

// details is what a batch append is answered with.
func (w *wrongVersion) details() proto.Message {
	m := &shared.WrongExpectedVersion{}
	if w.actual < 0 {
		m.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &emptypb.Empty{}}
	} else {
		m.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: uint64(w.actual)}
	}
	switch {
	case w.expected.kind == anyRevision:
		m.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedAny{ExpectedAny: &emptypb.Empty{}}
	case w.expected.kind == streamExists:
		m.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &emptypb.Empty{}}
	case w.expected.revision < 0:
		m.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &emptypb.Empty{}}
	default:
		m.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamPosition{ExpectedStreamPosition: uint64(w.expected.revision)}
	}
	return m
}

// known turns whatever went wrong into something clients know.
func known(err error) *refusal {
	var r *refusal
	var w *wrongVersion
	var state interface{ GRPCStatus() *status.Status }
	switch {
	case errors.As(err, &r):
		return r
	case errors.As(err, &w):
		return &refusal{
			code: codes.FailedPrecondition, text: w.Error(), name: "wrong-expected-version", details: w.details(),
			with: []string{"stream-name", w.stream, "expected-version", strconv.FormatInt(w.expected.number(), 10), "actual-version", strconv.FormatInt(int64(w.actual), 10)},
		}
	case errors.As(err, &state):
		s := state.GRPCStatus()
		return &refusal{code: s.Code(), text: s.Message(), details: &shared.Unknown{}}
	case errors.Is(err, store.ErrInvalid), errors.Is(err, store.ErrTooLarge): // what the log says of it, which counts in its own way
		return known(badRequest("%v", err))
	case errors.Is(err, context.Canceled):
		return &refusal{code: codes.Canceled, text: "the call was given up", details: &shared.Unknown{}}
	case errors.Is(err, context.DeadlineExceeded):
		return &refusal{code: codes.DeadlineExceeded, text: "it took too long", details: &shared.Timeout{}}
	case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrUnavailable):
		return &refusal{code: codes.Unavailable, text: "the log is not available", details: &shared.Unknown{}}
	}
	return &refusal{code: codes.Internal, text: "the log could not be used", details: &shared.Unknown{}}
}

// answered is the error of a call, its trailer set.
func answered(err error, trailer func(metadata.MD)) error {
	if err == nil {
		return nil
	}
	r := known(err)
	if r.name != "" {
		pairs := []string{"exception", r.name}
		for _, text := range r.with {
			pairs = append(pairs, strings.Map(printable, text))
		}
		trailer(metadata.Pairs(pairs...))
	}
	return status.Error(r.code, r.text)
}

// printable is what a trailer can hold of a name.
func printable(c rune) rune {
	if c < ' ' || c > '~' {
		return '?'
	}
	return c
}

// batchStatus is the error of one batch.
func batchStatus(err error) *rpcstatus.Status {
	r := known(err)
	s := &rpcstatus.Status{Code: int32(r.code), Message: r.text}
	if details, err := anypb.New(r.details); err == nil {
		s.Details = []*anypb.Any{details}
	}
	return s
}
