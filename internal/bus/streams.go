package bus

import (
	"cmp"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-engine/parley/internal/bus/access"
)

// Subjects. The last token of the first two is the id of the aggregate, or
// "new"; of the third it is the lane the message was in.
const (
	SubjectCall   = "parley.call.>"
	SubjectSend   = "parley.commands.>"
	SubjectDead   = "parley.dead.>"
	SubjectEvents = "parley.events.>"

	prefixCall   = access.CallPrefix
	prefixSend   = access.CommandsPrefix
	prefixDead   = "parley.dead."
	prefixEvents = access.EventsPrefix
)

// Streams.
const (
	StreamCommands = "PARLEY_COMMANDS" // what is handled is purged soon after
	StreamDead     = "PARLEY_DEAD"
	StreamEvents   = access.EventStream
)

// commandsConfig refuses new commands when the stream is full rather than
// dropping old ones. (A work queue would delete each message when it is
// acknowledged, which halves the rate; see Bus.forgetHandled.) A message is limited so that it still fits into a dead
// letter, whose headers are longer.
func commandsConfig(maxPayload, maxBytes int64) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: StreamCommands, Description: "durable commands, kept until handled",
		Subjects: []string{SubjectSend}, Retention: jetstream.LimitsPolicy,
		Discard: jetstream.DiscardNew, MaxBytes: cmp.Or(maxBytes, -1),
		MaxMsgSize: int32(maxPayload / 3), Storage: jetstream.FileStorage,
	}
}

func deadConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: StreamDead, Description: "commands that could not be handled, as they came",
		Subjects: []string{SubjectDead}, Storage: jetstream.FileStorage, AllowDirect: true,
	}
}

// EventLimits bound what the event stream keeps. The log has everything; the
// stream is for followers. The zero value keeps seven days.
type EventLimits struct {
	MaxAge   time.Duration // default 7 days
	MaxBytes int64         // 0: no limit
}

// eventsConfig lets the server write behind its acknowledgements: what a power
// cut takes is published again from the log.
func eventsConfig(l EventLimits) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: StreamEvents, Description: "events, published from the log",
		Subjects: []string{SubjectEvents}, Storage: jetstream.FileStorage,
		MaxAge: cmp.Or(l.MaxAge, 7*24*time.Hour), MaxBytes: cmp.Or(l.MaxBytes, -1),
		PersistMode: jetstream.AsyncPersistMode,
	}
}
