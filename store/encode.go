package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/parley-engine/parley/events"
)

// MaxName bounds the bytes of a stream's name and of an event's type.
const MaxName = 512

// MaxBatchBytes bounds payloads plus metadata of one append.
const MaxBatchBytes = 16 << 20

// ErrInvalid refuses a call that no state of the log could accept: no events,
// no name, an id twice. Nothing is written.
var ErrInvalid = errors.New("invalid append")

// Encoded is a proposed event as backends keep it: checked, copied, metadata as
// JSON. Strings, because they can be kept and shared without another copy.
type Encoded struct {
	ID       events.ID
	Type     string
	Metadata string // events.AppendMetadata
	Data     string
}

// Encode checks the arguments of an append against the contract and copies the
// batch. Its errors wrap [ErrInvalid] or [ErrTooLarge].
func Encode(stream string, expected Revision, batch []events.Proposed) ([]Encoded, error) {
	if err := checkShape(stream, expected, batch); err != nil {
		return nil, err
	}
	return encode(batch)
}

// scratch lends buffers in which events are put together. Large ones are not
// kept.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

const keptScratch = 64 << 10

func encode(batch []events.Proposed) ([]Encoded, error) {
	buffer := scratch.Get().(*[]byte)
	defer func() {
		if cap(*buffer) <= keptScratch {
			scratch.Put(buffer)
		}
	}()
	encoded := make([]Encoded, len(batch))
	total := 0
	for i, p := range batch {
		text := (*buffer)[:0]
		if p.EncodedMetadata != nil {
			text = append(text, p.EncodedMetadata...)
		} else {
			text = events.AppendMetadata(text, p.Metadata)
		}
		metadata := len(text)
		if size := metadata + len(p.Data); size > MaxEventBytes {
			return nil, fmt.Errorf("event %d of %d has %d bytes of %d: %w", i, len(batch), size, MaxEventBytes, ErrTooLarge)
		}
		text = append(text, p.Data...)
		if total += len(text); total > MaxBatchBytes {
			return nil, fmt.Errorf("batch has more than %d bytes: %w", MaxBatchBytes, ErrTooLarge)
		}
		both := string(text) // one allocation for the two
		encoded[i] = Encoded{ID: p.ID, Type: p.Type, Metadata: both[:metadata], Data: both[metadata:]}
		*buffer = text
	}
	return encoded, nil
}

func checkShape(stream string, expected Revision, batch []events.Proposed) error {
	switch {
	case !ValidName(stream):
		return fmt.Errorf("stream name %.40q is empty, too long or not plain text: %w", stream, ErrInvalid)
	case expected < NoStream || expected == End:
		return fmt.Errorf("expected revision %d: %w", expected, ErrInvalid)
	case len(batch) == 0:
		return fmt.Errorf("no events: %w", ErrInvalid)
	case len(batch) > MaxBatch:
		return fmt.Errorf("batch has %d events of %d: %w", len(batch), MaxBatch, ErrTooLarge)
	}
	return checkEvents(batch)
}

func checkEvents(batch []events.Proposed) error {
	for i, p := range batch {
		if p.ID.IsZero() {
			return fmt.Errorf("event %d has no id: %w", i, ErrInvalid)
		}
		if !ValidName(p.Type) {
			return fmt.Errorf("type %.40q of event %d is empty, too long or not plain text: %w", p.Type, i, ErrInvalid)
		}
	}
	if id, twice := repeated(batch); twice {
		return fmt.Errorf("event id %s twice in one batch: %w", id, ErrInvalid)
	}
	return nil
}

// ValidName reports whether a stream or a type may have that name: printable UTF-8 of
// at most MaxName bytes, so that a name is the same in every backend and every tool.
func ValidName(s string) bool {
	if s == "" || len(s) > MaxName || !utf8.ValidString(s) {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return true
}

func repeated(batch []events.Proposed) (events.ID, bool) {
	if len(batch) == 1 {
		return events.ID{}, false
	}
	ids := make([]events.ID, len(batch))
	for i, p := range batch {
		ids[i] = p.ID
	}
	slices.SortFunc(ids, func(a, b events.ID) int { return slices.Compare(a[:], b[:]) })
	for i := 1; i < len(ids); i++ {
		if ids[i] == ids[i-1] {
			return ids[i], true
		}
	}
	return events.ID{}, false
}
