package events

import (
	"encoding/json"
	"fmt"
	"time"
)

// storedMetadata is the JSON form of Metadata. The two names with a dollar are
// the ones KurrentDB's own tools look for.
type storedMetadata struct {
	Occurred    time.Time `json:"occurred,omitzero"`
	Account     string    `json:"account,omitempty"`
	Service     string    `json:"service,omitempty"`
	ActorKind   ActorKind `json:"actor_kind,omitempty"`
	ActorID     string    `json:"actor_id,omitempty"`
	Command     string    `json:"command,omitempty"`
	CommandID   ID        `json:"command_id,omitzero"`
	CommandHash string    `json:"command_hash,omitempty"`
	Correlation string    `json:"$correlationId,omitempty"`
	Causation   string    `json:"$causationId,omitempty"`
	Traceparent string    `json:"traceparent,omitempty"`
	Webhooks    bool      `json:"webhooks,omitempty"`
	Node        string    `json:"node,omitempty"`
	Append      string    `json:"append,omitempty"`
}

// MarshalJSON writes one flat object; absent fields are left out.
func (m Metadata) MarshalJSON() ([]byte, error) { return AppendMetadata(nil, m), nil }

// UnmarshalJSON reads what MarshalJSON writes. Unknown fields are ignored.
func (m *Metadata) UnmarshalJSON(data []byte) error {
	parsed, err := ParseMetadata(data)
	if err == nil {
		*m = parsed
	}
	return err
}

// AppendMetadata appends the JSON form of m to b. It is the hot half of every
// append, so it does not go through reflection; the bytes are the same.
func AppendMetadata(b []byte, m Metadata) []byte {
	w := objectWriter{b: append(b, '{')}
	if !m.Occurred.IsZero() {
		w.key("occurred")
		w.b = append(w.b, '"')
		w.b = m.Occurred.UTC().AppendFormat(w.b, time.RFC3339Nano)
		w.b = append(w.b, '"')
	}
	w.text("account", m.Account)
	w.text("service", m.Service)
	w.text("actor_kind", string(m.Actor.Kind))
	w.text("actor_id", m.Actor.ID)
	w.text("command", m.Command)
	if !m.CommandID.IsZero() {
		w.text("command_id", m.CommandID.String())
	}
	w.text("command_hash", m.CommandHash)
	w.text("$correlationId", m.Correlation)
	w.text("$causationId", m.Causation)
	w.text("traceparent", m.Traceparent)
	if m.Webhooks {
		w.key("webhooks")
		w.b = append(w.b, "true"...)
	}
	w.text("node", m.Node)
	w.text("append", m.Append)
	return append(w.b, '}')
}

type objectWriter struct {
	b     []byte
	began bool
}

func (w *objectWriter) key(name string) {
	if w.began {
		w.b = append(w.b, ',')
	}
	w.began = true
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *objectWriter) text(name, value string) {
	if value == "" {
		return
	}
	w.key(name)
	if plain(value) {
		w.b = append(w.b, '"')
		w.b = append(w.b, value...)
		w.b = append(w.b, '"')
		return
	}
	quoted, _ := json.Marshal(value) // a string always marshals
	w.b = append(w.b, quoted...)
}

// plain reports whether encoding/json would write s between quotes unchanged.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// ParseMetadata reads the JSON form. Flat objects without escapes, the only
// kind Parley writes for ordinary values, take the short way.
func ParseMetadata(data []byte) (Metadata, error) {
	if m, ok := scanMetadata(string(data)); ok {
		return m, nil
	}
	var s storedMetadata
	if err := json.Unmarshal(data, &s); err != nil {
		return Metadata{}, fmt.Errorf("event metadata: %w", err)
	}
	return Metadata{
		Occurred: s.Occurred.UTC(), Account: s.Account, Service: s.Service,
		Actor:   Actor{Kind: s.ActorKind, ID: s.ActorID},
		Command: s.Command, CommandID: s.CommandID, CommandHash: s.CommandHash,
		Correlation: s.Correlation, Causation: s.Causation, Traceparent: s.Traceparent,
		Webhooks: s.Webhooks, Node: s.Node, Append: s.Append,
	}, nil
}

// scanMetadata reads the exact shape AppendMetadata writes for plain values and
// gives up on anything else. All strings share one allocation.
func scanMetadata(s string) (m Metadata, ok bool) {
	rest, ok := cut(s, "{")
	if !ok {
		return m, false
	}
	for rest != "}" {
		var name, value string
		if name, rest, ok = quoted(rest); !ok {
			return m, false
		}
		if after, isTrue := cut(rest, ":true"); isTrue && name == "webhooks" {
			m.Webhooks, rest = true, after
		} else {
			if rest, ok = cut(rest, ":"); !ok {
				return m, false
			}
			if value, rest, ok = quoted(rest); !ok || !m.set(name, value) {
				return m, false
			}
		}
		if rest == "}" {
			break
		}
		if rest, ok = cut(rest, ","); !ok || rest == "}" {
			return m, false
		}
	}
	return m, true
}

func cut(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || s[:len(prefix)] != prefix {
		return s, false
	}
	return s[len(prefix):], true
}

// quoted takes a string without escapes off the front of s.
func quoted(s string) (value, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", s, false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[1:i], s[i+1:], true
		case c < 0x20 || c == '\\' || c >= 0x7f:
			return "", s, false
		}
	}
	return "", s, false
}

func (m *Metadata) set(name, value string) bool {
	var err error
	switch name {
	case "occurred":
		m.Occurred, err = time.Parse(time.RFC3339Nano, value)
		m.Occurred = m.Occurred.UTC()
	case "account":
		m.Account = value
	case "service":
		m.Service = value
	case "actor_kind":
		m.Actor.Kind = ActorKind(value)
	case "actor_id":
		m.Actor.ID = value
	case "command":
		m.Command = value
	case "command_id":
		m.CommandID, err = ParseID(value)
	case "command_hash":
		m.CommandHash = value
	case "$correlationId":
		m.Correlation = value
	case "$causationId":
		m.Causation = value
	case "traceparent":
		m.Traceparent = value
	case "node":
		m.Node = value
	case "append":
		m.Append = value
	default:
		return false
	}
	return err == nil
}
