package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"

	"github.com/parley-engine/parley/events"
)

// pseudonyms replace what tells who somebody is. The key is forgotten with them.
type pseudonyms struct{ key []byte }

func newPseudonyms() pseudonyms {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return pseudonyms{key}
}

// content are the personal fields that are left out whole.
var content = map[string]bool{
	"body": true, "attributes": true, "subject": true, "media": true, "content_variables": true, "friendly_name": true, "filename": true,
}

// plainFields say nothing of a person, inside objects that do.
var plainFields = map[string]bool{"type": true, "level": true}

// event replaces what is personal in an event. Its payload becomes one of today's.
func (p pseudonyms) event(e *events.Recorded) error {
	event, err := events.Vocabulary().Decode(e.Type, e.Data)
	if err != nil {
		return err
	}
	if e.Type, e.Data, err = events.Vocabulary().Encode(event); err != nil {
		return err
	}
	var fields map[string]any
	if err := json.Unmarshal(e.Data, &fields); err != nil {
		return err
	}
	for _, name := range events.PersonalFields(e.Type) {
		value, there := fields[name]
		switch {
		case !there:
		case content[name]:
			delete(fields, name)
		default:
			fields[name] = p.value(value)
		}
	}
	e.Metadata.Actor.ID = p.name(e.Metadata.Actor.ID)
	e.Metadata.CommandHash = "" // tells a body, to who can guess it
	e.Metadata.Correlation, e.Metadata.Causation = p.name(e.Metadata.Correlation), p.name(e.Metadata.Causation)
	e.Data, err = json.Marshal(fields)
	return err
}

// value replaces all texts in a value.
func (p pseudonyms) value(v any) any {
	switch v := v.(type) {
	case string:
		return p.name(v)
	case []any:
		for i := range v {
			v[i] = p.value(v[i])
		}
	case map[string]any:
		for name := range v {
			if !plainFields[name] {
				v[name] = p.value(v[name])
			}
		}
	}
	return v
}

// identifier is what Parley itself gave out: a SID, or an id.
var identifier = regexp.MustCompile(`^([A-Z]{2}[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)

// name is the pseudonym of a text: the same for the same text.
func (p pseudonyms) name(text string) string {
	if text == "" || identifier.MatchString(text) {
		return text
	}
	mac := hmac.New(sha256.New, p.key)
	_, _ = mac.Write([]byte(text)) // never fails
	return "person-" + hex.EncodeToString(mac.Sum(nil)[:6])
}
