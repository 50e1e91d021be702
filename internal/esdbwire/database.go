package esdbwire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// maxAppend bounds the data of one append, in bytes as they came, as EventStoreDB does
// unless told otherwise. Types and metadata do not count.
const maxAppend = 1 << 20

// maxTries bounds how often an append that takes any revision is tried while others
// write to the same stream.
const maxTries = 50

// expectation is where a writer expects a stream to be.
type expectation struct {
	kind     expectationKind
	revision store.Revision // exactly: the last event's, or store.NoStream
}

type expectationKind int

const (
	exactly expectationKind = iota
	anyRevision
	streamExists
)

// number is the expectation as clients of old read it.
func (x expectation) number() int64 {
	switch x.kind {
	case anyRevision:
		return -2
	case streamExists:
		return -4
	}
	return int64(x.revision) // store.NoStream is their -1
}

func (x expectation) String() string {
	switch {
	case x.kind == anyRevision:
		return "any"
	case x.kind == streamExists:
		return "stream exists"
	case x.revision < 0:
		return "no stream"
	}
	return fmt.Sprint(int64(x.revision))
}

// outcome is where a stream is after a write.
type outcome struct {
	revision store.Revision  // store.NoStream: there is none
	position events.Position // zero: nothing was written
}

// database is a log with the rules of EventStoreDB.
type database struct {
	names
	log      Log
	appender store.Appender // nil: nobody writes
	writeOwn bool           // Parley's own streams too
	lanes    *lanes         // in which appends go
	pasts    pasts

	// deleting is held by who deletes: what a stream has must not grow between a look
	// at its end and hiding it, or an append would be hidden that nobody saw. Appends
	// to streams of others share it.
	deleting sync.RWMutex
}

// newDatabase returns one whose lanes are to be stopped.
func newDatabase(c Config) *database {
	d := &database{names: names{c.Own}, log: c.Log, appender: c.Appender, writeOwn: c.WriteOwn, pasts: pasts{list: map[string]past{}}}
	d.lanes = newLanes(d)
	return d
}

// mayWrite reports whether clients may append to a stream. What says how much of a
// stream is to be seen belongs to that stream.
func (d *database) mayWrite(stream string) bool {
	if d.appender == nil {
		return false
	}
	named := strings.TrimPrefix(stream, metastreamMark)
	if d.isOwn(named) {
		return d.writeOwn && d.isOwn(stream)
	}
	return !ofGroups(named)
}

// append writes a client's batch, or none, to a stream that is as expected.
func (d *database) append(ctx context.Context, stream string, x expectation, batch []proposed) (outcome, error) {
	if !d.mayWrite(stream) {
		return outcome{}, errDenied
	}
	return d.write(ctx, stream, x, batch)
}

func (d *database) write(ctx context.Context, stream string, x expectation, batch []proposed) (outcome, error) {
	encoded, err := d.encode(stream, batch)
	if err != nil {
		return outcome{}, err
	}
	return d.lanes.begin(ctx, stream, x, encoded).end()
}

func (d *database) encode(stream string, batch []proposed) ([]events.Proposed, error) {
	own, size := d.isOwn(stream), 0
	encoded := make([]events.Proposed, len(batch))
	for i := range batch {
		p := &batch[i]
		if size += len(p.data); size > maxAppend {
			return nil, tooLarge()
		}
		if p.kind == tombstoneType || p.kind == "" {
			return nil, badRequest("event %s has type %q", p.id, p.kind)
		}
		of := p.foreign
		if own {
			of = p.native
		}
		var err error
		if encoded[i], err = of(); err != nil {
			return nil, err
		}
	}
	return encoded, nil
}

// attempt writes once on what the stream is now.
func (d *database) attempt(ctx context.Context, stream string, x expectation, batch []events.Proposed) (outcome, error) {
	s, err := d.state(ctx, stream)
	if err != nil {
		return outcome{}, err
	}
	base, err := s.base(stream, x)
	if err != nil {
		return outcome{}, err
	}
	if x.kind != exactly && len(batch) > 0 {
		if o, found, err := d.writtenBefore(ctx, stream, batch); found || err != nil {
			return o, err
		}
	}
	if base == s.last && s.deleted() {
		if err := d.setMetadata(ctx, stream, s, int64(s.last)+1); err != nil {
			return outcome{}, err
		}
	}
	switch {
	case len(batch) > 0:
		return d.put(ctx, stream, x, base, batch)
	case base != s.last:
		return outcome{}, &wrongVersion{stream, x, s.last}
	}
	return outcome{revision: s.last}, nil
}

// put appends behind a revision.
func (d *database) put(ctx context.Context, stream string, x expectation, base store.Revision, batch []events.Proposed) (outcome, error) {
	// No stream ends at the greatest number, which is none of the log's.
	appended, err := d.appender.Append(ctx, d.stored(stream), min(base, store.End-1), batch)
	if conflict := new(store.ConflictError); errors.As(err, &conflict) {
		return outcome{}, &wrongVersion{stream, x, conflict.Actual}
	}
	return outcome{appended.Revision, appended.Position}, err
}

// writtenBefore looks for a batch as lookBack says.
func (d *database) writtenBefore(ctx context.Context, stream string, batch []events.Proposed) (outcome, bool, error) {
	i, at, seen := len(batch)-1, outcome{}, 0
	for e, err := range d.log.ReadStream(ctx, d.stored(stream), store.End, store.Backwards) {
		if err != nil {
			return outcome{}, false, err
		}
		if e.ID != batch[i].ID {
			i = len(batch) - 1
		}
		if e.ID == batch[i].ID {
			if i == len(batch)-1 {
				at = outcome{store.Revision(e.Revision), e.Position}
			}
			if i--; i < 0 {
				return at, true, nil
			}
		}
		if seen++; seen >= lookBack+len(batch) {
			break
		}
	}
	return outcome{}, false, nil
}

// delete hides what a stream has; writing to it again goes on behind that.
func (d *database) delete(ctx context.Context, stream string, x expectation) (outcome, error) {
	d.deleting.Lock()
	defer d.deleting.Unlock()
	s, err := d.toEnd(ctx, stream, x)
	if err == nil && s.last < 0 { // there is nothing to hide, whatever was expected
		err = &wrongVersion{stream, x, s.last}
	}
	if err != nil {
		return outcome{}, err
	}
	if err := d.setMetadata(ctx, stream, s, math.MaxInt64); err != nil {
		return outcome{}, err
	}
	after, err := d.end(ctx, metastreamMark+stream)
	return outcome{s.last, after.position}, err
}

// tombstone ends a stream for good.
func (d *database) tombstone(ctx context.Context, stream string, x expectation) (outcome, error) {
	s, err := d.toEnd(ctx, stream, x)
	if err != nil {
		return outcome{}, err
	}
	p := proposed{id: events.ID(uuid.New()), kind: tombstoneType, contentType: contentTypeBytes}
	e, err := p.foreign()
	if err != nil {
		return outcome{}, err
	}
	return d.put(ctx, stream, x, s.last, []events.Proposed{e})
}

// toEnd returns a stream that a writer may delete.
func (d *database) toEnd(ctx context.Context, stream string, x expectation) (state, error) {
	if d.isOwn(stream) || strings.HasPrefix(stream, metastreamMark) || !d.mayWrite(stream) {
		return state{}, errDenied
	}
	s, err := d.state(ctx, stream)
	if err != nil {
		return s, err
	}
	base, err := s.base(stream, x)
	if err == nil && base != s.last {
		err = &wrongVersion{stream, x, s.last}
	}
	return s, err
}

// state is what there is to know about a stream before reading or writing it.
type state struct {
	retention
	last         store.Revision // store.NoStream: it never was
	position     events.Position
	tombstoned   bool
	metadata     map[string]json.RawMessage
	metaRevision store.Revision
}

// retention is how much of a stream is to be seen.
type retention struct {
	before   int64 // the first revision; math.MaxInt64: deleted
	maxCount int64
	maxAge   time.Duration
}

func (r retention) deleted() bool { return r.before == math.MaxInt64 }

// first is the first revision to be seen of a stream.
func (s *state) first() store.Revision {
	first := store.Revision(min(s.before, int64(s.last)+1))
	if s.maxCount > 0 {
		first = max(first, s.last+1-store.Revision(s.maxCount))
	}
	return first
}

// base is the revision behind which to write. NoStream holds for a stream that was
// deleted, also when the first batch after that is written again.
func (s *state) base(stream string, x expectation) (store.Revision, error) {
	gone := s.last < 0 || s.deleted()
	switch {
	case s.tombstoned:
		return 0, streamDeleted(stream)
	case x.kind == streamExists && gone:
		return 0, &wrongVersion{stream, x, store.NoStream}
	case x.kind != exactly:
		return s.last, nil
	case x.revision == store.NoStream && s.before > 0:
		return min(store.Revision(s.before)-1, s.last), nil
	}
	return x.revision, nil
}

// state reads what a stream is. Streams of Parley have no metadata.
func (d *database) state(ctx context.Context, stream string) (state, error) {
	s, err := d.end(ctx, stream)
	switch {
	case err != nil || d.isOwn(stream):
		return s, err
	case strings.HasPrefix(stream, metastreamMark):
		s.maxCount = 1
		return s, nil
	}
	for e, err := range d.log.ReadStream(ctx, d.stored(metastreamMark+stream), store.End, store.Backwards) {
		if err != nil {
			return s, err
		}
		s.metaRevision = store.Revision(e.Revision)
		return s, s.readMetadata(&e)
	}
	return s, nil
}

// end reads where a stream ends.
func (d *database) end(ctx context.Context, stream string) (state, error) {
	s := state{last: store.NoStream, metaRevision: store.NoStream}
	for e, err := range d.log.ReadStream(ctx, d.stored(stream), store.End, store.Backwards) {
		if err != nil {
			return s, err
		}
		s.last, s.position = store.Revision(e.Revision), e.Position
		if e.Type == foreignType {
			r, err := shown(&e)
			s.tombstoned = r.kind == tombstoneType
			return s, err
		}
		break
	}
	return s, nil
}

// readMetadata takes what is known of a stream's metadata. What is none of JSON, or
// has other types, counts as absent, as it does there.
func (s *state) readMetadata(e *events.Recorded) error {
	r, err := shown(e)
	if err != nil || json.Unmarshal(r.data, &s.metadata) != nil {
		return err
	}
	var seconds int64
	for name, to := range map[string]*int64{"$tb": &s.before, "$maxCount": &s.maxCount, "$maxAge": &seconds} {
		if json.Unmarshal(s.metadata[name], to) != nil || *to < 0 {
			*to = 0
		}
	}
	s.maxAge = time.Duration(min(seconds, math.MaxInt64/int64(time.Second))) * time.Second
	return nil
}

// setMetadata says from which revision on a stream is to be seen.
func (d *database) setMetadata(ctx context.Context, stream string, s state, before int64) error {
	fields := map[string]json.RawMessage{}
	for name, value := range s.metadata {
		fields[name] = value
	}
	fields["$tb"] = json.RawMessage(fmt.Sprint(before))
	data, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	p := proposed{id: events.ID(uuid.New()), kind: metadataType, contentType: contentTypeJSON, data: data}
	e, err := p.foreign()
	if err != nil {
		return err
	}
	_, err = d.put(ctx, metastreamMark+stream, expectation{kind: anyRevision}, s.metaRevision, []events.Proposed{e})
	return err
}
