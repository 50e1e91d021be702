package esdbwire

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parley-engine/parley/events"
)

const (
	metastreamMark   = "$$"             // before a stream's name: where its metadata is
	metadataType     = "$metadata"      // of an event there
	tombstoneType    = "$streamDeleted" // of a stream's last event
	linkType         = "$>"             // of an event that stands for another
	contentTypeJSON  = "application/json"
	contentTypeBytes = "application/octet-stream"
)

var foreignType = events.ForeignRecorded{}.EventType()

const foreignPrefix = events.CategoryForeign + "-"

// record is an event as clients see it.
type record struct {
	id          events.ID
	stream      string
	revision    uint64
	position    events.Position
	recorded    time.Time
	kind        string
	contentType string
	metadata    []byte
	data        []byte
}

// names tells Parley's own streams from those of others.
type names struct {
	own []string // categories; none: all but system streams
}

// isOwn reports whether a stream, as clients call it, is Parley's.
func (n names) isOwn(stream string) bool {
	if n.own == nil {
		return !strings.HasPrefix(stream, "$")
	}
	category, _, ok := events.SplitStream(stream)
	for _, c := range n.own {
		if ok && c == category {
			return true
		}
	}
	return false
}

// stored is what a stream is called in the log.
func (n names) stored(stream string) string {
	if n.isOwn(stream) {
		return stream
	}
	return foreignPrefix + stream
}

// shown is the event as clients see it.
func shown(e *events.Recorded) (record, error) {
	r := record{id: e.ID, stream: e.Stream, revision: e.Revision, position: e.Position, recorded: e.Recorded}
	if e.Type != foreignType || !strings.HasPrefix(e.Stream, foreignPrefix) {
		r.kind, r.contentType, r.data = e.Type, contentTypeJSON, e.Data
		if r.metadata = e.EncodedMetadata; r.metadata == nil {
			r.metadata = events.AppendMetadata(make([]byte, 0, 256), e.Metadata)
		}
		return r, nil
	}
	var f events.ForeignRecorded
	if err := json.Unmarshal(e.Data, &f); err != nil {
		return r, fmt.Errorf("event %s of %s: %w", e.ID, e.Stream, err)
	}
	r.stream, r.kind, r.contentType = e.Stream[len(foreignPrefix):], f.Type, f.ContentType
	r.data, r.metadata = eitherOf(f.Data, f.DataBase64), eitherOf(f.Metadata, f.MetadataBase64)
	return r, nil
}

func eitherOf(text string, data []byte) []byte {
	if len(data) > 0 {
		return data
	}
	return []byte(text)
}

// proposed is an event that a client wants to write.
type proposed struct {
	id             events.ID
	kind           string
	contentType    string
	metadata, data []byte
}

func (p *proposed) size() int { return len(p.kind) + len(p.metadata) + len(p.data) + 16 }

// foreign is the event as the log keeps it.
func (p *proposed) foreign() (events.Proposed, error) {
	f := events.ForeignRecorded{Type: p.kind, ContentType: p.contentType}
	f.Data, f.DataBase64 = textOrBytes(p.data)
	f.Metadata, f.MetadataBase64 = textOrBytes(p.metadata)
	kind, data, err := events.Vocabulary().Encode(f)
	return events.Proposed{ID: p.id, Type: kind, Data: data}, err
}

// textOrBytes keeps text as such, unless that takes more than twice its length: the rest
// takes a third more.
func textOrBytes(b []byte) (string, []byte) {
	if utf8.Valid(b) && inJSON(b) <= 2*len(b) {
		return string(b), nil
	}
	return "", b
}

// inJSON is how long text is in JSON, about.
func inJSON(b []byte) int {
	n := len(b)
	for _, c := range b {
		switch {
		case c == '"', c == '\\':
			n++
		case c < ' ', c == '<', c == '>', c == '&':
			n += 5
		}
	}
	return n
}

// native is the event as one of Parley's.
func (p *proposed) native() (events.Proposed, error) {
	m, err := events.ParseMetadata(p.metadata)
	if err == nil && string(events.AppendMetadata(make([]byte, 0, len(p.metadata)), m)) != string(p.metadata) {
		err = fmt.Errorf("it has fields that are none of Parley's")
	}
	if err != nil {
		return events.Proposed{}, badRequest("metadata of event %s: %v", p.id, err)
	}
	if p.contentType != contentTypeJSON {
		return events.Proposed{}, badRequest("event %s has content type %.40q, not %s", p.id, p.contentType, contentTypeJSON)
	}
	return events.Proposed{ID: p.id, Type: p.kind, Data: p.data, Metadata: m, EncodedMetadata: p.metadata}, nil
}
