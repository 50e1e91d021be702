package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/parley-engine/parley/internal/channels/carrier"
)

// inbound reads messages.
type inbound struct {
	config Inbound
	source
	id, from, to, body, media, mediaType field
}

// newInbound returns nil for nil.
func newInbound(c *Inbound) (*inbound, error) {
	if c == nil {
		return nil, nil
	}
	s, err := newSource(c.Callback)
	if err != nil {
		return nil, fmt.Errorf("inbound: %w", err)
	}
	in := &inbound{config: *c, source: s}
	for _, f := range []struct {
		to         *field
		name, path string
		required   bool
	}{
		{&in.id, "id", c.ID, !c.IDFromContent}, {&in.from, "from", c.From, true}, {&in.to, "to", c.To, true},
		{&in.body, "body", c.Body, c.Media == ""}, {&in.media, "media", c.Media, c.Body == ""}, {&in.mediaType, "media_type", c.MediaType, false},
	} {
		if f.required && f.path == "" {
			return nil, fmt.Errorf("inbound: %s is missing", f.name)
		}
		if *f.to, err = in.field(f.name, f.path); err != nil {
			return nil, fmt.Errorf("inbound: %w", err)
		}
	}
	if c.MediaType != "" && c.Media == "" {
		return nil, errors.New("inbound: media_type without media")
	}
	return in, nil
}

func (in *inbound) read(r carrier.Request, c *Config) ([]carrier.Report, error) {
	items, err := in.items(r)
	if err != nil {
		return nil, err
	}
	var reports []carrier.Report
	for n, i := range items {
		m, err := in.message(i, c)
		if err != nil {
			return nil, err
		}
		if m.ID == "" && in.config.IDFromContent {
			m.ID = contentID(r, in.kind, n)
		}
		if m.ID == "" {
			return nil, &carrier.Malformed{Reason: "a message has no id"}
		}
		reports = append(reports, carrier.Report{Inbound: m})
	}
	return reports, nil
}

func (in *inbound) message(i item, c *Config) (*carrier.Inbound, error) {
	m := &carrier.Inbound{ID: i.text(in.id), Type: in.config.Type, From: c.parleys(i.text(in.from)), Body: i.text(in.body)}
	for _, to := range i.texts(in.to) {
		m.To = append(m.To, c.parleys(to))
	}
	if m.From == "" || len(m.To) == 0 || m.To[0] == "" {
		return nil, &carrier.Malformed{Reason: "a message lacks from or to"}
	}
	types := i.texts(in.mediaType)
	for n, address := range i.texts(in.media) {
		if n == mostMedia {
			return nil, &carrier.Malformed{Reason: "a message has too much media"}
		}
		file := carrier.Media{URL: address}
		if n < len(types) {
			file.ContentType = types[n]
		}
		m.Media = append(m.Media, file)
	}
	var err error
	m.At, err = in.at(i)
	return m, err
}

// contentID names the nth message of a request that says the same.
func contentID(r carrier.Request, kind string, n int) string {
	content := r.Body
	if kind == sourceQuery {
		content = []byte(r.URL)
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:16]) + "-" + strconv.Itoa(n)
}
