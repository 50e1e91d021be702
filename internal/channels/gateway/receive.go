package gateway

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parley-engine/parley/internal/channels/carrier"
)

// What one request of a gateway may have.
const (
	mostBody    = 4 << 20 // bytes
	mostReports = 1000
	mostMedia   = 50 // of one message
)

// Receive checks who sent the request and reads what it says.
func (g *Carrier) Receive(r carrier.Request) ([]carrier.Report, carrier.Answer, error) {
	if g.inbound == nil && g.status == nil {
		return nil, carrier.Answer{}, carrier.ErrForbidden // nothing says who may send
	}
	if len(r.Body) > mostBody {
		return nil, carrier.Answer{}, &carrier.Malformed{Reason: "it is too long"}
	}
	if !g.verify(r, g.now()) {
		return nil, carrier.Answer{}, carrier.ErrForbidden
	}
	reports, reply, err := g.read(r)
	if err != nil {
		return nil, carrier.Answer{}, err
	}
	return reports, carrier.Answer{Status: reply.Status, ContentType: reply.ContentType, Body: []byte(reply.Body)}, nil
}

func (g *Carrier) read(r carrier.Request) ([]carrier.Report, Reply, error) {
	isStatus := r.Kind == carrier.KindStatus
	switch {
	case g.config.OneURL:
		messages, err := g.inbound.read(r, &g.config)
		if err != nil {
			return nil, Reply{}, err
		}
		statuses, err := g.status.read(r, &g.config)
		return append(messages, statuses...), g.inbound.config.Reply, err
	case isStatus && g.status != nil:
		reports, err := g.status.read(r, &g.config)
		return reports, g.status.config.Reply, err
	case !isStatus && g.inbound != nil:
		reports, err := g.inbound.read(r, &g.config)
		return reports, g.inbound.config.Reply, err
	}
	return nil, Reply{}, &carrier.Malformed{Reason: "such requests are not configured"}
}

// source takes requests apart into items, of which each is a report.
type source struct {
	kind   string // json, form or query
	each   path
	time   field
	layout string
	lax    bool // there need not be anything
}

// Where fields are, and layouts besides Go's.
const (
	sourceJSON  = "json"
	sourceForm  = "form"
	sourceQuery = "query"
	unix        = "unix"
	unixMillis  = "unix-ms"
)

// item is one report as the gateway wrote it: JSON, or a form.
type item struct {
	whole, at any
	form      url.Values // nil: JSON
}

// field is a path in JSON and the name of a field in forms; the zero field is nothing.
type field struct {
	path path
	name string
}

func newSource(c Callback) (source, error) {
	s := source{kind: c.Source, layout: c.TimeLayout}
	switch {
	case c.Source != sourceJSON && c.Source != sourceForm && c.Source != sourceQuery:
		return s, errors.New("source is none of json, form and query")
	case c.Each != "" && c.Source != sourceJSON:
		return s, errors.New("each is for json only")
	case c.TimeLayout != "" && c.Time == "":
		return s, errors.New("time_layout without time")
	case c.Reply.Status != 0 && (c.Reply.Status < 200 || c.Reply.Status > 299):
		return s, errors.New("reply: status is not between 200 and 299")
	}
	var err error
	if c.Each == "." {
		s.each = path{whole: true, steps: []string{}}
	} else if c.Each != "" {
		if s.each, err = parsePath(c.Each); err != nil {
			return s, fmt.Errorf("each: %w", err)
		}
	}
	if s.layout == "" {
		s.layout = time.RFC3339
	}
	s.time, err = s.field("time", c.Time)
	return s, err
}

func (s *source) field(name, text string) (field, error) {
	if text == "" || s.kind != sourceJSON {
		return field{name: text}, nil
	}
	p, err := parsePath(text)
	if err != nil {
		return field{}, fmt.Errorf("%s: %w", name, err)
	}
	return field{path: p, name: text}, nil
}

// items takes a request apart. With each it may have none.
func (s *source) items(r carrier.Request) ([]item, error) {
	if s.kind != sourceJSON {
		form, err := s.form(r)
		return []item{{form: form}}, err
	}
	whole, err := parseJSON(r.Body)
	if err != nil {
		return nil, &carrier.Malformed{Reason: "it is no JSON"}
	}
	if s.each.steps == nil {
		return []item{{whole: whole, at: whole}}, nil
	}
	places := s.each.find(whole, whole)
	var items []item
	for _, place := range places {
		list, ok := place.([]any)
		if !ok {
			list = []any{place}
		}
		for _, e := range list {
			items = append(items, item{whole: whole, at: e})
		}
	}
	switch {
	case len(places) == 0 && !s.lax:
		return nil, &carrier.Malformed{Reason: "there are no reports where they should be"}
	case len(items) > mostReports:
		return nil, &carrier.Malformed{Reason: "it has too many reports"}
	}
	return items, nil
}

func (s *source) form(r carrier.Request) (url.Values, error) {
	text := string(r.Body)
	if s.kind == sourceQuery {
		address, err := url.Parse(r.URL)
		if err != nil {
			return nil, &carrier.Malformed{Reason: "its address is none"}
		}
		text = address.RawQuery
	}
	form, err := url.ParseQuery(text)
	if err != nil {
		return nil, &carrier.Malformed{Reason: fmt.Sprintf("its parameters could not be read: %.80v", err)}
	}
	return form, nil
}

func (i item) text(f field) string {
	switch {
	case f.name == "":
		return ""
	case i.form != nil:
		return i.form.Get(f.name)
	}
	return f.path.text(i.whole, i.at)
}

// texts returns a list; numbered fields of a form are one where the name has "#".
func (i item) texts(f field) (all []string) {
	switch {
	case f.name == "":
		return nil
	case i.form == nil:
		return f.path.texts(i.whole, i.at)
	case !strings.Contains(f.name, "#"):
		return i.form[f.name]
	}
	for n := range mostMedia + 2 {
		value, ok := i.form[strings.Replace(f.name, "#", strconv.Itoa(n), 1)]
		if !ok && n > 0 {
			break
		}
		all = append(all, value...)
	}
	return all
}

// at returns the time of an item, zero where none is said.
func (s *source) at(i item) (time.Time, error) {
	text := i.text(s.time)
	if s.time.name == "" || text == "" {
		return time.Time{}, nil
	}
	switch s.layout {
	case unix, unixMillis:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n < 0 || n > 1e14 {
			return time.Time{}, &carrier.Malformed{Reason: fmt.Sprintf("the time is %.40q", text)}
		}
		if s.layout == unix {
			n *= 1000
		}
		return time.UnixMilli(int64(n)).UTC(), nil
	}
	at, err := time.Parse(s.layout, text)
	if err != nil {
		return time.Time{}, &carrier.Malformed{Reason: fmt.Sprintf("the time is %.40q", text)}
	}
	return at.UTC(), nil
}
