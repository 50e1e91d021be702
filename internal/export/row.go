package export

import (
	"time"

	"github.com/parley-engine/parley/events"
)

// Row is an event as analysts get it. Empty texts are what was not there.
type Row struct {
	Position        uint64    `json:"position" parquet:"position"`
	PositionPrepare uint64    `json:"position_prepare" parquet:"position_prepare"` // the same number, but for a log in a database
	EventID         string    `json:"event_id" parquet:"event_id"`
	Type            string    `json:"type" parquet:"type,dict"`
	Category        string    `json:"category" parquet:"category,dict"`
	Aggregate       string    `json:"aggregate" parquet:"aggregate,dict"` // CH…, US…
	Revision        uint64    `json:"revision" parquet:"revision"`
	RecordedAt      time.Time `json:"recorded_at" parquet:"recorded_at,timestamp(microsecond)"`
	OccurredAt      time.Time `json:"occurred_at" parquet:"occurred_at,timestamp(microsecond)"` // RecordedAt when nobody said
	AccountSid      string    `json:"account_sid" parquet:"account_sid,dict"`
	ChatServiceSid  string    `json:"chat_service_sid" parquet:"chat_service_sid,dict"`
	ActorKind       string    `json:"actor_kind" parquet:"actor_kind,dict"`
	ActorID         string    `json:"actor_id" parquet:"actor_id,dict"`
	Command         string    `json:"command" parquet:"command,dict"`
	CommandID       string    `json:"command_id" parquet:"command_id"`
	CorrelationID   string    `json:"correlation_id" parquet:"correlation_id"`
	CausationID     string    `json:"causation_id" parquet:"causation_id"`
	Data            string    `json:"data" parquet:"data"` // JSON
}

func rowOf(e *events.Recorded) Row {
	category, aggregate, _ := events.SplitStream(e.Stream)
	m := e.Metadata
	r := Row{
		Position: e.Position.Commit, PositionPrepare: e.Position.Prepare, EventID: e.ID.String(), Type: e.Type,
		Category: category, Aggregate: aggregate, Revision: e.Revision,
		RecordedAt: e.Recorded.UTC().Truncate(time.Microsecond), OccurredAt: m.Occurred.UTC().Truncate(time.Microsecond),
		AccountSid: m.Account, ChatServiceSid: m.Service, ActorKind: string(m.Actor.Kind), ActorID: m.Actor.ID,
		Command: m.Command, CorrelationID: m.Correlation, CausationID: m.Causation, Data: string(e.Data),
	}
	if m.Occurred.IsZero() {
		r.OccurredAt = r.RecordedAt
	}
	if !m.CommandID.IsZero() {
		r.CommandID = m.CommandID.String()
	}
	return r
}

// wideColumns are the names of values.
var wideColumns = []string{
	"position", "position_prepare", "event_id", "type", "category", "aggregate", "revision", "recorded_at", "occurred_at", "account_sid",
	"chat_service_sid", "actor_kind", "actor_id", "command", "command_id", "correlation_id", "causation_id", "data",
}

// values are what the columns have: texts, uint64 and time.Time.
func (r *Row) values() []any {
	return []any{
		r.Position, r.PositionPrepare, r.EventID, r.Type, r.Category, r.Aggregate, r.Revision, r.RecordedAt, r.OccurredAt,
		r.AccountSid, r.ChatServiceSid, r.ActorKind, r.ActorID, r.Command, r.CommandID, r.CorrelationID, r.CausationID, r.Data,
	}
}
