package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"

	"github.com/parley-engine/parley/events"
)

// pseudonyms replace what tells who somebody is. Who has the key can find out whether a
// text he guesses is behind one, and nobody else.
type pseudonyms struct{ key []byte }

// leastKey is how long a key is at least, in bytes.
const leastKey = 32

// newPseudonyms have the key in a file, or one that is forgotten with them.
func newPseudonyms(file string) (p pseudonyms, err error) {
	if file == "" {
		p.key = make([]byte, leastKey)
		_, _ = rand.Read(p.key) // never fails
		return p, nil
	}
	if p.key, err = os.ReadFile(file); err != nil {
		return p, usage("--key: %v", err)
	}
	if p.key = bytes.TrimSpace(p.key); len(p.key) < leastKey {
		return p, usage("--key: %s has %d bytes of %d at least", file, len(p.key), leastKey)
	}
	return p, nil
}

// secrets are left out of any event, wherever they stand in it: addresses of webhooks
// often have a token in them, and a hash tells a content to who can guess it.
var secrets = map[string]bool{
	"hash": true, "sealed": true, "sha256": true,
	"url": true, "webhook_url": true, "pre_webhook_url": true, "post_webhook_url": true,
}

func withoutSecrets(fields map[string]any) {
	for name, value := range fields {
		if secrets[name] {
			delete(fields, name)
		} else if inner, object := value.(map[string]any); object {
			withoutSecrets(inner)
		}
	}
}

// content are the personal fields that are left out whole.
var content = map[string]bool{
	"body": true, "attributes": true, "subject": true, "media": true, "content_variables": true, "friendly_name": true, "filename": true,
	"operator_reason": true,
}

// plainFields say nothing of a person, inside objects that do.
var plainFields = map[string]bool{"type": true, "level": true}

// event replaces what is personal in an event. Its payload becomes one of today's, and
// is left out where it is not known what is in it.
func (p pseudonyms) event(e *events.Recorded) error {
	e.Stream = p.stream(e.Stream)
	p.metadata(&e.Metadata)
	event, err := events.Vocabulary().Decode(e.Type, e.Data)
	if _, foreign := errors.AsType[*events.UnknownTypeError](err); foreign {
		e.Data = []byte("{}")
		return nil
	}
	if err != nil {
		return err
	}
	if _, foreign := event.(events.ForeignRecorded); foreign {
		e.Data = []byte("{}")
		return nil
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
	withoutSecrets(fields)
	if _, there := fields["reservation"]; there {
		fields["reservation"] = p.stream(fmt.Sprint(fields["reservation"]))
	}
	text, err := json.Marshal(fields)
	e.Data = []byte(p.persons(string(text)))
	return err
}

// personSID is a SID that is made from an identity, among other things that an event
// tells: who guesses the identity could test it by the SID.
var personSID = regexp.MustCompile(`\b(US|BS)[0-9a-f]{32}\b`)

// persons replaces such SIDs in a text by others.
func (p pseudonyms) persons(text string) string {
	return personSID.ReplaceAllStringFunc(text, func(sid string) string { return sid[:2] + hex.EncodeToString(p.code(sid)[:16]) })
}

func (p pseudonyms) metadata(m *events.Metadata) {
	m.Actor.ID = p.name(m.Actor.ID)
	m.CommandHash = "" // tells a body, to who can guess it
	m.Correlation, m.Causation = p.name(m.Correlation), p.name(m.Causation)
}

// stream replaces what is no SID in a stream's name: reservations are named by a hash of
// a value, and others' streams by whatever they like.
func (p pseudonyms) stream(name string) string {
	category, id, ok := events.SplitStream(name)
	if !ok || !slices.Contains(events.Categories(), category) {
		return p.name(name)
	}
	return events.Stream(category, p.name(id))
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
		return p.persons(text)
	}
	return "person-" + hex.EncodeToString(p.code(text)[:6])
}

func (p pseudonyms) code(text string) []byte {
	mac := hmac.New(sha256.New, p.key)
	_, _ = mac.Write([]byte(text)) // never fails
	return mac.Sum(nil)
}
