package esdbstore

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	_ "google.golang.org/grpc/encoding/proto" // registers the codec that ours wraps

	"github.com/parley-engine/parley/events"
)

// codec is the ordinary one, but for the messages of a read and for batches: these are
// taken apart and put together by hand, because a log is read by the million.
type codec struct{}

var ordinary = encoding.GetCodecV2("proto")

// Marshal implements encoding.CodecV2.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(*batchMessage); ok {
		return m.marshal()
	}
	return ordinary.Marshal(v)
}

// Name implements encoding.CodecV2.
func (codec) Name() string { return "proto" }

// Unmarshal implements encoding.CodecV2.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*message)
	if !ok {
		return ordinary.Unmarshal(data, v)
	}
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	return m.parse(buffer.ReadOnlyData())
}

// internal keeps one copy of texts that come again and again.
type internal map[string]string

const maxInternal = 1000

func (n internal) text(b []byte) string {
	if s, known := n[string(b)]; known {
		return s
	}
	s := string(b)
	if len(n) == maxInternal {
		clear(n)
	}
	n[s] = s
	return s
}

// message is what a read sends: an event, how far it is, or that there is nothing.
type message struct {
	names internal
	brief bool // of an event only id, place and mark are wanted

	isEvent  bool
	recorded events.Recorded
	mark     string // of the append that wrote it
	failed   error  // why the event is none of Parley's; its place is known

	notFound   bool
	caughtUp   bool
	checkpoint events.Position // zero: none
}

// Fields of event_store.client.streams.ReadResp and what is in it.
const (
	respEvent      = 1
	respCheckpoint = 3
	respNotFound   = 4
	respCaughtUp   = 8

	readEvent = 1 // in ReadEvent: the event, not the link

	eventID         = 1
	eventStream     = 2
	eventRevision   = 3
	eventPrepare    = 4
	eventCommit     = 5
	eventProperties = 6
	eventMetadata   = 7
	eventData       = 8
)

var errDamaged = errors.New("message of the database is damaged")

// fields calls f for every field; numbers come as such, everything else as bytes.
func fields(b []byte, f func(number protowire.Number, n uint64, v []byte) error) error {
	for len(b) > 0 {
		number, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return errDamaged
		}
		b = b[size:]
		var n uint64
		var v []byte
		switch kind {
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(number, kind, b)
		}
		if size < 0 {
			return errDamaged
		}
		b = b[size:]
		if err := f(number, n, v); err != nil {
			return err
		}
	}
	return nil
}

func (m *message) parse(b []byte) error {
	return fields(b, func(number protowire.Number, _ uint64, v []byte) error {
		switch number {
		case respEvent:
			m.isEvent = true
			return m.parseEvent(v)
		case respCheckpoint:
			return fields(v, func(number protowire.Number, n uint64, _ []byte) error {
				switch number {
				case 1:
					m.checkpoint.Commit = n
				case 2:
					m.checkpoint.Prepare = n
				}
				return nil
			})
		case respNotFound:
			m.notFound = true
		case respCaughtUp:
			m.caughtUp = true
		}
		return nil
	})
}

func (m *message) parseEvent(b []byte) error {
	return fields(b, func(number protowire.Number, _ uint64, v []byte) error {
		if number != readEvent {
			return nil
		}
		return fields(v, m.eventField)
	})
}

func (m *message) eventField(number protowire.Number, n uint64, v []byte) error {
	e := &m.recorded
	switch number {
	case eventID:
		return m.parseID(v)
	case eventStream:
		return fields(v, func(number protowire.Number, _ uint64, name []byte) error {
			if number == 3 {
				e.Stream = m.names.text(name)
			}
			return nil
		})
	case eventRevision:
		e.Revision = n
	case eventPrepare:
		e.Position.Prepare = n
	case eventCommit:
		e.Position.Commit = n
	case eventProperties:
		return m.parseProperty(v)
	case eventMetadata:
		if m.brief {
			if mark, plain := markIn(v); plain {
				m.mark = mark
				return nil
			}
		}
		var err error
		if e.Metadata, err = events.ParseMetadata(v); err != nil {
			m.failed = fmt.Errorf("event %s of the database is none of Parley's: %w", e.ID, err)
		}
		m.mark, e.Metadata.Append = e.Metadata.Append, ""
	case eventData:
		if !m.brief {
			e.Data = append([]byte{}, v...)
		}
	}
	return nil
}

// markIn finds the mark where our own metadata have it: at their end.
func markIn(metadata []byte) (mark string, plain bool) {
	const key = `,"append":"`
	at := bytes.LastIndex(metadata, []byte(key))
	if at < 0 {
		return "", false
	}
	value, plain := bytes.CutSuffix(metadata[at+len(key):], []byte(`"}`))
	return string(value), plain && len(value) == markSize
}

func (m *message) parseID(b []byte) error {
	return fields(b, func(number protowire.Number, _ uint64, v []byte) error {
		if number == 2 {
			id, err := events.ParseID(string(v))
			m.recorded.ID = id
			return err
		}
		return fields(v, func(number protowire.Number, n uint64, _ []byte) error {
			if number != 1 && number != 2 {
				return nil
			}
			for i := range 8 {
				m.recorded.ID[8*(int(number)-1)+i] = byte(n >> (56 - 8*i))
			}
			return nil
		})
	})
}

func (m *message) parseProperty(b []byte) error {
	var key, value []byte
	err := fields(b, func(number protowire.Number, _ uint64, v []byte) error {
		switch number {
		case 1:
			key = v
		case 2:
			value = v
		}
		return nil
	})
	switch string(key) {
	case "type":
		m.recorded.Type = m.names.text(value)
	case "created":
		ticks, failed := strconv.ParseInt(string(value), 10, 64)
		if failed != nil {
			m.failed = fmt.Errorf("event %s of the database has no time", m.recorded.ID)
		}
		m.recorded.Recorded = time.Unix(0, ticks*100).UTC()
	}
	return err
}
