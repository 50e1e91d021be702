package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"zombiezen.com/go/sqlite"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
)

// Exit codes; part of the contract with scripts.
const (
	exitOK           = 0
	exitFailure      = 1
	exitUsage        = 2
	exitNotFound     = 3
	exitConflict     = 4
	exitPermission   = 5
	exitUnavailable  = 6
	exitDifference   = 7
	exitInterrupted  = 130
	checkOK          = 0
	checkWarning     = 1
	checkCritical    = 2
	checkUnknownCode = 3
)

// errDifference says that a verification found something.
var errDifference = errors.New("difference found")

// errNoServer says that nobody runs on the data folder.
var errNoServer = errors.New("no server runs on this data folder")

func exitCode(err error) int {
	var wrongUsage *usageError
	var quiet *quietError
	var failure *engine.Failure
	var remote *remoteError
	switch {
	case errors.As(err, &quiet):
		return quiet.code
	case errors.As(err, &wrongUsage):
		return exitUsage
	case errors.As(err, &failure):
		return failureCode(failure)
	case errors.Is(err, projections.ErrNotFound):
		return exitNotFound
	case errors.As(err, &remote):
		return remote.exit
	case errors.Is(err, errDifference):
		return exitDifference
	case errors.Is(err, projections.ErrOptions):
		return exitUsage
	case refusedByProjection(err):
		return exitConflict
	case errors.Is(err, errNoServer), errors.Is(err, context.DeadlineExceeded):
		return exitUnavailable
	default:
		return exitFailure
	}
}

// refusedByProjection reports an operation that does not go now, on read models or jobs.
func refusedByProjection(err error) bool {
	for _, refusal := range []error{projections.ErrRebuilding, projections.ErrUnfinished, projections.ErrNoRebuild, projections.ErrNoFormer, projections.ErrCancelled, projections.ErrNotQuarantined, errHistories, reactor.ErrNotInState} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

var kindCodes = map[string]int{
	string(domain.InvalidArgument):    exitUsage,
	string(domain.NotFound):           exitNotFound,
	string(domain.AlreadyExists):      exitConflict,
	string(domain.FailedPrecondition): exitConflict,
	string(domain.QuotaExceeded):      exitConflict,
	string(domain.PermissionDenied):   exitPermission,
	engine.KindVersionConflict:        exitConflict,
	engine.KindIdempotencyConflict:    exitConflict,
	engine.KindExpired:                exitConflict,
	engine.KindPayloadTooLarge:        exitUsage,
	engine.KindUnavailable:            exitUnavailable,
	engine.KindInternal:               exitFailure,
}

func failureCode(f *engine.Failure) int {
	if code, ok := kindCodes[f.Kind]; ok {
		return code
	}
	return exitFailure
}

// printError says what went wrong, and where there is one, what to do next.
func printError(w io.Writer, err error) {
	var failure *engine.Failure
	var wrongUsage *usageError
	var suspended *projections.SuspendedError
	switch {
	case errors.Is(err, store.ErrLostEnd):
		fmt.Fprintf(w, "error: %s\n  %s\n", oneLine(err), wayOutOfLoss)
	case errors.As(err, &failure):
		fmt.Fprintf(w, "error[%s]: %s\n", failure.Code, failure.Message)
		if failure.Field != "" {
			fmt.Fprintf(w, "  field: %s\n", failure.Field)
		}
		if failure.Twilio != 0 {
			fmt.Fprintf(w, "  twilio: %d\n", failure.Twilio)
		}
	case errors.As(err, &wrongUsage):
		fmt.Fprintf(w, "error[usage]: %v\n  see: parley --help\n", err)
	case errors.Is(err, errNoServer):
		fmt.Fprintf(w, "error[unavailable]: %v\n  start one: parley serve --data DIR\n", err)
	case errors.Is(err, projections.ErrNotFound):
		fmt.Fprintf(w, "error[not_found]: %v\n", err)
	case errors.As(err, &suspended):
		fmt.Fprintf(w, "error: %s\n  go on: parley projection resume %s\n", oneLine(err), projections.Name)
	case damagedFile(err):
		fmt.Fprintf(w, "error: %s\n  a read model is made anew by: parley projection rebuild %s; a log comes from a backup\n", oneLine(err), projections.Name)
	default:
		fmt.Fprintf(w, "error: %s\n", oneLine(err))
	}
}

// damagedFile reports what SQLite says of a file it cannot make sense of.
func damagedFile(err error) bool {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultCorrupt, sqlite.ResultNotADB:
		return true
	}
	return false
}

// within says in which folder a damaged file was met, where SQLite does not.
func (f folder) within(err error) error {
	if damagedFile(err) {
		return fmt.Errorf("a file in %s is damaged: %w", f, err)
	}
	return err
}

// oneLine joins what several parts have to say, each thing once.
func oneLine(err error) string {
	var said []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); !slices.Contains(said, line) {
			said = append(said, line)
		}
	}
	return strings.Join(said, "; ")
}
