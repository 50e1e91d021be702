package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// MaxBodyBytes bounds a command's body.
const MaxBodyBytes = 256 << 10

// request is a command on its way through the engine.
type request struct {
	Command
	node  string
	now   func() time.Time
	at    time.Time // the instant of the decision; moves with every attempt
	hash  string
	grant *grant

	rehearsal bool // it is decided, and nothing is written, of what it needs done neither
}

// grant says that claims were secured for a stream at a revision.
type grant struct {
	revision store.Revision
	claims   string
}

// read decodes the body into a command's fields and derives the hash that
// tells two bodies apart: of the canonical form, so that spacing and the order
// of fields do not matter.
func (r *request) read(into any) error {
	if r.Fields != nil {
		return r.take(into)
	}
	if len(r.Body) == 0 {
		r.Body = json.RawMessage("{}")
	}
	if !utf8.Valid(r.Body) {
		return invalid("not_utf8", "data", "The command's data is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(r.Body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return unreadable(r.Body, into, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return invalid("not_json", "data", "The command's data is more than one JSON object")
	}
	if err := CheckJSON(r.Body, into); err != nil {
		return err
	}
	return r.identify(into)
}

// take is read for fields that came as Go values.
func (r *request) take(into any) error {
	given, target := reflect.ValueOf(r.Fields), reflect.ValueOf(into).Elem()
	if given.Type() != target.Type() {
		return fmt.Errorf("%s was given the fields of %s", r.Type, r.Fields.CommandType())
	}
	target.Set(given)
	return r.identify(into)
}

// Fingerprint is what the log keeps of a command's body, in each of its events: a
// repeated command has the same. The command has its Fields, and the account and
// service it is sent with.
func Fingerprint(c Command) (string, error) {
	r := request{Command: c}
	into := reflect.New(reflect.TypeOf(c.Fields))
	err := r.take(into.Interface())
	return r.hash, err
}

// identify checks the form of SIDs, texts and dates and takes the hash that tells bodies
// apart. What the system does about things of former times is done whatever they hold.
func (r *request) identify(into any) error {
	if err := checkSids(into); err != nil {
		return err
	}
	if !r.ownBusiness() {
		if err := checkFields(into); err != nil {
			return err
		}
	}
	canonical, err := json.Marshal(into)
	if err != nil {
		return fmt.Errorf("canonical form of %s: %w", r.Type, err)
	}
	if len(canonical) > MaxBodyBytes {
		return tooLarge()
	}
	r.hash = hash(r.Type, r.Aggregate, r.Account, r.Service, string(r.Actor.Kind), r.Actor.ID, string(canonical))
	return nil
}

// ownBusiness reports whether the command is this process's own, about what is there.
func (r *request) ownBusiness() bool {
	return r.Fields != nil && (r.Actor.Kind == events.ActorSystem || r.Actor.Kind == events.ActorTimer)
}

// hash tells lists of texts apart: each goes in with its length before it.
func hash(parts ...string) string {
	text := make([]byte, 0, 1024) // on the stack, unless there is more
	for _, p := range parts {
		text = append(append(strconv.AppendInt(text, int64(len(p)), 10), ':'), p...)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// sub derives a command that this one needs done first. The same command always
// derives the same ones, so a repeat finds them done.
func (r *request) sub(name, commandType, aggregate string) *request {
	s := *r
	s.ID = events.NameID(r.ID.String() + "/" + name)
	s.Type, s.Aggregate = commandType, aggregate
	s.Causation = r.ID.String()
	s.ExpectedRevision, s.grant, s.Body, s.Fields = nil, nil, nil, nil
	s.hash = hash(s.Type, s.Aggregate, r.hash)
	return &s
}

// begin takes the instant of the decision, in the aggregate's lane: what is
// decided later carries a later instant. A command whose deadline has passed by
// then must not be done any more; one that was done is answered before.
func (r *request) begin() error {
	r.at = r.now().UTC()
	if r.Deadline.IsZero() || !r.at.After(r.Deadline) {
		return nil
	}
	return &Failure{Kind: KindExpired, Code: "expired", Field: "deadline", Message: "The command's deadline has passed"}
}

// expects checks what the caller knows of the stream's revision.
func (r *request) expects(actual store.Revision) error {
	if r.ExpectedRevision == nil || store.Revision(*r.ExpectedRevision) == actual {
		return nil
	}
	return &Failure{Kind: KindVersionConflict, Code: "version_conflict", Field: "expected_revision",
		Message: fmt.Sprintf("The stream is at revision %d, not %d", actual, *r.ExpectedRevision)}
}

func sameBody(r *request, before done) error {
	if before.Hash == r.hash {
		return nil
	}
	return &Failure{Kind: KindIdempotencyConflict, Code: "idempotency_conflict", Field: "id",
		Message: "Another command with this id was done before"}
}

// metadata is what all events of the request share.
func (r *request) metadata() events.Metadata {
	occurred := r.Occurred
	if occurred.IsZero() {
		occurred = r.at
	}
	return events.Metadata{
		Occurred: occurred.UTC(), Account: r.Account, Service: r.Service, Actor: r.Actor,
		Command: r.Type, CommandID: r.ID, CommandHash: r.hash,
		Correlation: r.Correlation, Causation: r.Causation, Traceparent: r.Traceparent, Webhooks: r.Webhooks, Node: r.node,
	}
}

// changes turns decided events into what the log takes.
func (r *request) changes(es []events.Event) ([]store.Change, error) {
	changes := make([]store.Change, len(es))
	metadata := r.metadata()
	for i, e := range es {
		eventType, data, err := events.Vocabulary().Encode(e)
		if err != nil {
			return nil, err
		}
		m := metadata
		if changed, ok := e.(events.ConversationStateChanged); ok && !changed.Due.IsZero() {
			m.Occurred = changed.Due
		}
		changes[i] = store.Change{Event: e, Proposed: events.Proposed{
			ID: events.EventID(r.ID, i), Type: eventType, Data: data, Metadata: m,
		}}
	}
	return changes, nil
}
