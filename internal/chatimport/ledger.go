package chatimport

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store"
)

// ledger is what earlier imports wrote into one stream, by command. It comes from the
// log, so it reaches further back than the engine recognises repeats.
type ledger map[events.ID]entry

// entry is what the log keeps of a command.
type entry struct {
	hash    [16]byte
	updated time.Time // date_updated of what it made, where there is one
}

// read goes through a stream and hands over what imports wrote, and what anybody did.
func (im *importer) read(ctx context.Context, stream string, see func(r events.Recorded, e events.Event, imported bool)) error {
	for recorded, err := range im.target.Log.ReadStream(ctx, stream, 0, store.Forwards) {
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		event, err := events.Vocabulary().Decode(recorded.Type, recorded.Data)
		if err != nil {
			return fmt.Errorf("read %s revision %d: %w", stream, recorded.Revision, err)
		}
		see(recorded, event, recorded.Metadata.Actor.Kind == events.ActorImport)
	}
	return nil
}

func (im *importer) ledger(ctx context.Context, stream string) (ledger, error) {
	l := ledger{}
	err := im.read(ctx, stream, func(r events.Recorded, e events.Event, imported bool) {
		if _, known := l[r.Metadata.CommandID]; known || !imported {
			return
		}
		var written entry
		_, _ = hex.Decode(written.hash[:], []byte(r.Metadata.CommandHash)) // another length is another hash
		switch e := e.(type) {
		case events.ConversationCreated:
			written.updated = e.DateUpdated
		case events.ParticipantAdded:
			written.updated = e.DateUpdated
		}
		l[r.Metadata.CommandID] = written
	})
	return l, err
}

// verdict is what became of a thing.
type verdict int

const (
	refused verdict = iota // it is not there
	differs                // an earlier import wrote something else
	before                 // an earlier import wrote it, or there was nothing to do
	written                // it is there now
)

// there reports whether the thing is in the log, be it another than in the source.
func (v verdict) there() bool { return v != refused }

// do has a command carried out, unless an earlier import did, and notes what became
// of it. An error ends the import.
func (im *importer) do(ctx context.Context, l ledger, f *Findings, kind, sid string, c engine.Command) (verdict, error) {
	v, refusal, err := im.attempt(ctx, l, c)
	if err != nil {
		return v, fmt.Errorf("%s %s: %w", kind, sid, err)
	}
	f.count(kind, func(n *Count) {
		n.Source++
		switch v {
		case written:
			n.Written++
		case before:
			n.Before++
		default:
			n.Refused++
		}
	})
	if refusal != nil {
		f.Refused = append(f.Refused, Note{kind, sid, refusal.Code, refusal.Message})
	}
	im.progress(kind)
	return v, nil
}

func (im *importer) attempt(ctx context.Context, l ledger, c engine.Command) (verdict, *engine.Failure, error) {
	if known, done := l[c.ID]; done {
		same, err := known.holds(c)
		if err != nil {
			return refused, nil, err
		}
		if same {
			return before, nil, nil
		}
		return differs, &engine.Failure{Code: CodeDiffers, Message: "An earlier import wrote something else under this SID; nothing was changed"}, nil
	}
	outcome, err := im.send(ctx, c)
	var failure *engine.Failure
	switch {
	case err == nil && len(outcome.Events) == 0:
		return before, nil, nil
	case err == nil:
		return written, nil, nil
	case errors.As(err, &failure) && !failure.Retryable && failure.Kind != engine.KindInternal && failure.Kind != engine.KindUnauthenticated:
		return refused, failure, nil
	}
	return refused, nil, err
}

// CodeDiffers is the code of what an earlier import wrote otherwise.
const CodeDiffers = "import_differs"

// holds reports whether the command is the one that was carried out.
func (e entry) holds(c engine.Command) (bool, error) {
	same, err := e.is(c)
	if err != nil || same || e.updated.IsZero() {
		return same, err
	}
	c.Fields = sameButDate(c.Fields, e.updated)
	return e.is(c)
}

func (e entry) is(c engine.Command) (bool, error) {
	text, err := engine.Fingerprint(c)
	return text == hex.EncodeToString(e.hash[:]), err
}

// patience is how often a command is sent whose outcome is not known.
const patience = 6

// send sends a command until it is answered: always the same id, so that it is done
// once.
func (im *importer) send(ctx context.Context, c engine.Command) (engine.Outcome, error) {
	return backoff.Retry(ctx, func() (engine.Outcome, error) {
		outcome, err := im.target.Execute(ctx, c)
		var failure *engine.Failure
		if errors.As(err, &failure) && !failure.Retryable {
			return outcome, backoff.Permanent(err)
		}
		return outcome, err
	}, backoff.WithMaxTries(patience), backoff.WithBackOff(backoff.NewExponentialBackOff()))
}
