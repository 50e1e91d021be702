package esdbwire

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// query is a checked request.
type query struct {
	stream    string         // empty: the whole log
	stored    string         // what it is called in the log
	resolve   bool           // events that others stand for, in their place
	revision  store.Revision // of a stream: the first one wanted
	position  events.Position
	atEnd     bool // only what comes from now on
	direction store.Direction
	count     uint64
	subscribe bool
	textID    bool // ids as text
	places    bool // the client wants to be told where the stream begins and ends

	matches    func(r *record) bool
	checkpoint uint64 // a checkpoint after so many events considered; 0: none
}

func (d *database) queryOf(o *streams.ReadReq_Options) (*query, error) {
	q := &query{resolve: o.GetResolveLinks()}
	q.matches = func(r *record) bool { return q.stream == "" || r.stream == q.stream }
	switch o.GetReadDirection() {
	case streams.ReadReq_Options_Forwards:
	case streams.ReadReq_Options_Backwards:
		q.direction = store.Backwards
	default:
		return nil, badRequest("unknown direction %d", o.GetReadDirection())
	}
	switch c := o.GetCountOption().(type) {
	case *streams.ReadReq_Options_Count:
		q.count = c.Count
	case *streams.ReadReq_Options_Subscription:
		q.subscribe = true
	}
	if q.subscribe && q.direction == store.Backwards {
		return nil, badRequest("a subscription goes forwards")
	}
	if !q.subscribe && q.count == 0 {
		return nil, badRequest("neither a count nor a subscription")
	}
	_, q.textID = o.GetUuidOption().GetContent().(*streams.ReadReq_Options_UUIDOption_String_)
	q.places = o.GetControlOption().GetCompatibility() > 0
	if err := q.source(o); err != nil {
		return nil, err
	}
	q.stored = d.stored(q.stream)
	return q, q.filter(o.GetFilter())
}

func (q *query) source(o *streams.ReadReq_Options) error {
	switch s := o.GetStreamOption().(type) {
	case *streams.ReadReq_Options_Stream:
		var err error
		if q.stream, err = streamName(s.Stream.GetStreamIdentifier()); err != nil {
			return err
		}
		return q.from(s.Stream)
	case *streams.ReadReq_Options_All:
		return q.within(s.All)
	}
	return badRequest("neither a stream nor $all")
}

// from reads where in a stream to begin. A read begins at a revision, a
// subscription behind it.
func (q *query) from(s *streams.ReadReq_Options_StreamOptions) error {
	switch at := s.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Revision:
		switch n := at.Revision; {
		case n == math.MaxUint64 && (q.subscribe || q.direction == store.Backwards):
			q.fromEnd()
		case n > math.MaxInt64:
			return badRequest("revision %d is above %d", n, int64(math.MaxInt64))
		case q.subscribe:
			q.revision = store.Revision(min(n, math.MaxInt64-1)) + 1
		default:
			q.revision = store.Revision(n)
		}
	case *streams.ReadReq_Options_StreamOptions_End:
		q.fromEnd()
	default: // the start
		if q.direction == store.Backwards {
			q.revision = -1
		}
	}
	return nil
}

// fromEnd begins where the stream ends: forwards there is nothing yet.
func (q *query) fromEnd() {
	q.atEnd = true
	if !q.subscribe {
		q.revision = store.End
	}
}

// within reads where in the whole log to begin. Whether there is such a place the log
// says, see service.place.
func (q *query) within(a *streams.ReadReq_Options_AllOptions) error {
	switch at := a.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Position:
		commit, prepare := at.Position.GetCommitPosition(), at.Position.GetPreparePosition()
		if commit == math.MaxUint64 { // the end, as a number
			q.atEnd = true
			return nil
		}
		if commit > math.MaxInt64 || prepare > commit {
			return badRequest("there is no position %d/%d", commit, prepare)
		}
		q.position = events.Position{Commit: commit, Prepare: prepare}
	case *streams.ReadReq_Options_AllOptions_End:
		q.atEnd = true
	}
	return nil
}

// filter reads which events of the whole log are wanted.
func (q *query) filter(f *streams.ReadReq_Options_FilterOptions) error {
	if f == nil {
		return nil
	}
	if q.stream != "" {
		return badRequest("a stream takes no filter")
	}
	window := uint64(f.GetMax())
	if window == 0 {
		window = 32
	}
	q.checkpoint = window * uint64(max(1, f.GetCheckpointIntervalMultiplier()))
	expression, of := f.GetStreamIdentifier(), func(r *record) string { return r.stream }
	if _, byType := f.GetFilter().(*streams.ReadReq_Options_FilterOptions_EventType); byType {
		expression, of = f.GetEventType(), func(r *record) string { return r.kind }
	}
	matches, err := matcher(expression.GetRegex(), expression.GetPrefix())
	if err != nil {
		return err
	}
	q.matches = func(r *record) bool { return matches(of(r)) }
	return nil
}

// maxPrefixes bounds the prefixes of one filter.
const maxPrefixes = 1000

// noSystem is what most clients ask for: everything but the system's. An expression
// costs more than all else that an event takes.
const noSystem = `^[^\$].*`

func matcher(expression string, prefixes []string) (func(string) bool, error) {
	if len(prefixes) > 0 {
		if len(prefixes) > maxPrefixes {
			return nil, badRequest("a filter takes %d prefixes", maxPrefixes)
		}
		return func(s string) bool {
			for _, p := range prefixes {
				if strings.HasPrefix(s, p) {
					return true
				}
			}
			return false
		}, nil
	}
	if expression == noSystem {
		return func(s string) bool { return s != "" && s[0] != '$' }, nil
	}
	pattern, err := regexp.Compile(expression)
	if err != nil {
		return nil, badRequest("the filter is no regular expression of RE2: %v", err)
	}
	return pattern.MatchString, nil
}

// recordedEvent is an event as clients read it. Times are in ticks of 100 ns.
func recordedEvent(r *record, textID bool) *streams.ReadResp_ReadEvent_RecordedEvent {
	return &streams.ReadResp_ReadEvent_RecordedEvent{
		Id:               idOf(r.id, textID),
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(r.stream)},
		StreamRevision:   r.revision,
		CommitPosition:   r.position.Commit, PreparePosition: r.position.Prepare,
		Metadata: map[string]string{
			"type": r.kind, "content-type": r.contentType, "created": strconv.FormatInt(r.recorded.UnixNano()/100, 10),
		},
		CustomMetadata: r.metadata, Data: r.data,
	}
}

func idOf(id events.ID, asText bool) *shared.UUID {
	if asText {
		return &shared.UUID{Value: &shared.UUID_String_{String_: uuid.UUID(id).String()}}
	}
	most, least := int64(0), int64(0)
	for i := range 8 {
		most, least = most<<8|int64(id[i]), least<<8|int64(id[8+i])
	}
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{MostSignificantBits: most, LeastSignificantBits: least}}}
}
