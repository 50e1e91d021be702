package bus

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
)

// Every command is written, answered and read, so none of this goes through
// reflection: that would cost more than all the rest of the door. The bytes of
// replies are those of encoding/json, which the tests compare.

// appendCommand writes the envelope into the body, leaving out what is empty.
// (Headers would do, too, but cost three times as much on the way.)
func appendCommand(b []byte, c engine.Command) ([]byte, error) {
	if len(c.Body) > 0 && !balanced(c.Body) {
		return nil, invalid(CodeUnreadable, "", "the command's body is %v", errNotObject)
	}
	b = slices.Grow(b, len(c.Body)+256)
	b = appendText(append(b, `{"command":`...), c.Type)
	if !c.ID.IsZero() {
		b = appendText(append(b, `,"id":`...), c.ID.String())
	}
	b = appendMember(b, `,"account":`, c.Account)
	b = appendMember(b, `,"service":`, c.Service)
	b = appendActor(b, c.Actor)
	b = appendMember(b, `,"correlation_id":`, c.Correlation)
	b = appendMember(b, `,"causation_id":`, c.Causation)
	b = appendMember(b, `,"traceparent":`, c.Traceparent)
	b = appendMember(b, `,"deadline":`, timeText(c.Deadline))
	b = appendMember(b, `,"occurred":`, timeText(c.Occurred))
	if c.ExpectedRevision != nil {
		b = strconv.AppendInt(append(b, `,"expected_revision":`...), *c.ExpectedRevision, 10)
	}
	if c.Webhooks {
		b = append(b, `,"webhooks":true`...)
	}
	if len(c.Body) > 0 {
		b = append(append(b, `,"data":`...), c.Body...)
	}
	return append(b, '}'), nil
}

func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendText(append(b, name...), value)
}

func appendActor(b []byte, a events.Actor) []byte {
	if a == (events.Actor{}) {
		return b
	}
	b = appendText(append(b, `,"actor":{"kind":`...), string(a.Kind))
	return append(appendMember(b, `,"id":`, a.ID), '}')
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func appendReply(b []byte, r Reply) []byte {
	if r.Outcome != nil {
		b = append(b, `{"ok":true,"outcome":`...)
		b = appendOutcome(b, r.Outcome)
	} else {
		b = append(b, `{"ok":false,"error":`...)
		b = appendError(b, r.Error)
	}
	return append(b, '}')
}

func appendOutcome(b []byte, o *engine.Outcome) []byte {
	b = append(append(append(b, `{"command_id":"`...), o.CommandID.String()...), '"')
	b = appendText(append(b, `,"aggregate":`...), o.Aggregate)
	if o.Sid != "" {
		b = appendText(append(b, `,"sid":`...), o.Sid)
	}
	if o.Index != nil {
		b = strconv.AppendInt(append(b, `,"index":`...), *o.Index, 10)
	}
	b = strconv.AppendInt(append(b, `,"revision":`...), o.Revision, 10)
	b = appendText(append(b, `,"position":`...), o.Position.String())
	b = appendTexts(append(b, `,"events":`...), o.Events)
	if o.Repeated {
		b = append(b, `,"repeated":true`...)
	}
	return append(b, '}')
}

func appendTexts(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, s)
	}
	return append(b, ']')
}

func appendError(b []byte, e *ReplyError) []byte {
	b = appendText(append(b, `{"code":`...), e.Code)
	b = appendText(append(b, `,"kind":`...), e.Kind)
	b = appendText(append(b, `,"message":`...), e.Message)
	if e.Field != "" {
		b = appendText(append(b, `,"field":`...), e.Field)
	}
	if e.Twilio != 0 {
		b = strconv.AppendInt(append(b, `,"twilio_code":`...), int64(e.Twilio), 10)
	}
	b = strconv.AppendBool(append(b, `,"retryable":`...), e.Retryable)
	if e.RetryAfter != 0 {
		b = strconv.AppendFloat(append(b, `,"retry_after":`...), e.RetryAfter, 'f', -1, 64)
	}
	return append(b, '}')
}

func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string always marshals
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// parseReply reads what appendReply wrote. Members it does not know are
// ignored: the server may be newer.
func parseReply(data []byte) (engine.Outcome, error) {
	var outcome, failure []byte
	err := members(data, func(name string, value []byte) error {
		switch name {
		case "outcome":
			outcome = value
		case "error":
			failure = value
		}
		return nil
	})
	if err == nil && len(outcome) > 0 && outcome[0] == '{' {
		return parseOutcome(outcome)
	}
	var r Reply
	if err == nil && failure != nil {
		err = json.Unmarshal(failure, &r.Error)
	}
	if err != nil {
		return engine.Outcome{}, fmt.Errorf("read reply: %w", err)
	}
	return r.result()
}

func parseOutcome(data []byte) (o engine.Outcome, err error) {
	err = members(data, func(name string, value []byte) error {
		switch name {
		case "command_id":
			return parseText(value, func(s string) (err error) { o.CommandID, err = events.ParseID(s); return err })
		case "aggregate":
			return parseText(value, func(s string) error { o.Aggregate = s; return nil })
		case "sid":
			return parseText(value, func(s string) error { o.Sid = s; return nil })
		case "position":
			return parseText(value, func(s string) (err error) { o.Position, err = events.ParsePosition(s); return err })
		case "index":
			return json.Unmarshal(value, &o.Index)
		case "revision":
			o.Revision, err = strconv.ParseInt(string(value), 10, 64)
			return err
		case "events":
			o.Events, err = parseTexts(value)
			return err
		case "repeated":
			o.Repeated = string(value) == "true"
		}
		return nil
	})
	if err != nil {
		return engine.Outcome{}, fmt.Errorf("read reply: %w", err)
	}
	return o, nil
}

func parseText(value []byte, set func(string) error) error {
	s, err := unquote(value)
	if err != nil {
		return err
	}
	return set(s)
}

// parseTexts reads an array of strings.
func parseTexts(value []byte) ([]string, error) {
	if value[0] != '[' {
		return []string{}, nil // null
	}
	texts := make([]string, 0, 2)
	for i := skipSpace(value, 1); at(value, i) != ']'; {
		if at(value, i) == ',' {
			i = skipSpace(value, i+1)
		}
		end := min(skipValue(value, i), len(value))
		text, err := unquote(value[i:end])
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
		i = skipSpace(value, end)
	}
	return texts, nil
}
