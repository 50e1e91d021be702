package esdbstore

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/parley-engine/parley/store"
)

// trouble is what may be over at the next attempt.
type trouble struct{ cause error }

func (t *trouble) Error() string   { return t.cause.Error() }
func (t *trouble) Unwrap() []error { return []error{store.ErrUnavailable, t.cause} }
func isTrouble(err error) bool     { return errors.As(err, new(*trouble)) }

// refused is what the database will not do, however often it is asked.
type refused struct{ message string }

func (r *refused) Error() string { return "the database refuses: " + r.message }

func exception(trailer metadata.MD) string {
	if v := trailer.Get("exception"); len(v) > 0 {
		return v[0]
	}
	return ""
}

// judge says what the error of a call means. Another leader, a connection that broke
// and a server that is not ready pass; what the server refuses does not.
func judge(err error, trailer metadata.MD) error {
	switch exception(trailer) {
	case "not-leader":
		return &trouble{errors.New("the node does not lead any more")}
	case "access-denied":
		return errors.New("the database refuses access: the user may not do this")
	case "stream-deleted":
		return fmt.Errorf("the stream was deleted for good in the database")
	}
	s := status.Convert(err)
	switch s.Code() {
	case codes.Unauthenticated:
		return errors.New("the database does not know this user and password")
	case codes.PermissionDenied:
		return errors.New("the database refuses access: the user may not do this")
	case codes.Unimplemented:
		return fmt.Errorf("the server does not speak this protocol, or is too old: %s", s.Message())
	case codes.Unknown, // what it makes of a request that it cannot carry out, each time
		codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange, codes.AlreadyExists:
		return &refused{s.Message()}
	}
	return &trouble{fmt.Errorf("database: %s: %s", s.Code(), s.Message())}
}

// told is the error that a caller is given: its own context's, ErrClosed, or what it
// was.
func (s *Store) told(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case s.ending.Err() != nil:
		return store.ErrClosed
	}
	return err
}
