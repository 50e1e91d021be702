package rest

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parley-engine/parley/domain"
)

// kind says what a parameter's text must look like. Everything beyond that is for
// the domain to judge.
type kind int

const (
	text      kind = iota
	flag           // true or false, in either case
	integer        // decimal
	date           // RFC 3339, or a day alone
	sid            // param.prefix and 32 hex digits
	list           // may be repeated
	index          // integer, or empty or null for none
	day            // date; a day alone is its beginning, or its end for EndDate
	choice         // one of param.values, in either case
	jsonLists      // may be repeated, each a JSON object
)

// param is one form or query parameter of an operation.
type param struct {
	name     string
	alias    string // another way to write it; empty: none
	kind     kind
	prefix   string   // of kind sid
	values   []string // of kind choice; for others, what the documentation lists
	code     int      // Twilio's code for a text that does not look right; 0: 20422
	required bool
	missing  int // code when it is required and absent; 0: the domain says
	max      int // characters, for the documentation; the domain judges
	about    string
}

// repeats reports whether the parameter may be given more than once.
func (p param) repeats() bool { return p.kind == list || p.kind == jsonLists }

// values are the parameters of a request that the operation knows; others are
// ignored (reference 1.5, code 20001).
type values map[string][]string

// maxForm bounds a form's body, in bytes.
const maxForm = 1 << 20

// form reads the parameters of a write from the body.
func form(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	if !isForm(r.Header.Get("Content-Type")) {
		return nil, problem{status: http.StatusUnsupportedMediaType, code: 20001,
			message: "Parameters are sent as application/x-www-form-urlencoded, in UTF-8", details: details{Code: "unsupported_media_type"}}
	}
	body, err := readForm(w, r)
	if err != nil {
		return nil, unreadableBody(err)
	}
	return parse(string(body), "body", "malformed_form")
}

// maxParams is how many parameters a request may have; more is refused by net/url, too.
const maxParams = 10_000

// parse reads parameters, and says why they cannot be read.
func parse(text, where, code string) (url.Values, error) {
	refused := func(why string) error {
		return problem{status: http.StatusBadRequest, code: 20001, message: "The " + where + " could not be read: " + why, details: details{Code: code}}
	}
	if strings.Count(text, "&") >= maxParams {
		return nil, refused(fmt.Sprintf("it has more than %d parameters", maxParams))
	}
	given, err := url.ParseQuery(text)
	if err != nil {
		return nil, refused(fmt.Sprintf("%.80v", err))
	}
	return given, nil
}

func isForm(contentType string) bool {
	const form = "application/x-www-form-urlencoded"
	if contentType == form {
		return true
	}
	media, attributes, err := mime.ParseMediaType(contentType)
	return err == nil && media == form && likeASCII(attributes["charset"])
}

// likeASCII reports whether names and signs of a form mean in a character set what they mean
// in UTF-8; what else is in it is looked at as UTF-8. A form in UTF-16 would be one of other
// names. Empty is UTF-8.
func likeASCII(charset string) bool {
	charset = strings.ToLower(charset)
	return slices.Contains([]string{"", "utf-8", "utf8", "us-ascii"}, charset) ||
		strings.HasPrefix(charset, "iso-8859-") || strings.HasPrefix(charset, "windows-125")
}

// readForm reads the body, into one piece when its length is known.
func readForm(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limited := http.MaxBytesReader(w, r.Body, maxForm)
	if r.ContentLength < 0 || r.ContentLength > maxForm {
		return io.ReadAll(limited)
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(limited, body)
	return body, err
}

func unreadableBody(err error) problem {
	if tooLarge(err) {
		return problem{status: http.StatusRequestEntityTooLarge, code: 20001, message: "The body is too large", details: details{Code: "payload_too_large"}}
	}
	return problem{status: http.StatusBadRequest, code: 20001, message: "The body could not be read", details: details{Code: "unreadable_body"}}
}

// decode checks what is given against what the operation takes.
func decode(params []param, given url.Values) (values, error) {
	v := make(values, len(given))
	for _, p := range params {
		texts, there := given[p.name]
		key := p.name
		if other, also := given[p.alias]; also && p.alias != "" {
			p.name, texts, there = p.alias, slices.Concat(texts, other), true // named as it was written
		}
		if !there {
			if p.required && p.missing != 0 {
				return nil, invalidParameter(p.missing, p.name, p.name+" is required")
			}
			continue
		}
		if len(texts) > 1 && !p.repeats() {
			return nil, invalidParameter(20001, p.name, p.name+" is given more than once")
		}
		for _, t := range texts {
			if err := p.check(t); err != nil {
				return nil, err
			}
		}
		v[key] = texts
	}
	return v, nil
}

func (p param) check(t string) error {
	if fault := domain.TextFault(t); fault != "" {
		return invalidParameter(p.code, p.name, p.name+" "+fault)
	}
	if p.fits(t) {
		return nil
	}
	if at, _, err := parseDay(t); err == nil && (p.kind == date || p.kind == day) && domain.DateFault(at) != "" {
		return invalidParameter(p.code, p.name, p.name+" "+domain.DateFault(at))
	}
	return invalidParameter(p.code, p.name, p.name+" must be "+p.shape())
}

func (p param) fits(t string) bool {
	switch p.kind {
	case flag:
		return strings.EqualFold(t, "true") || strings.EqualFold(t, "false")
	case integer:
		_, err := strconv.ParseInt(t, 10, 64)
		return err == nil
	case index:
		_, err := strconv.ParseInt(t, 10, 64)
		return err == nil || none(t)
	case date:
		at, err := parseDate(t)
		return err == nil && domain.DateFault(at) == ""
	case day:
		at, _, err := parseDay(t)
		return err == nil && domain.DateFault(at) == ""
	case sid:
		return t == "" || domain.IsSID(p.prefix, t)
	case choice, list:
		return len(p.values) == 0 || slices.ContainsFunc(p.values, func(v string) bool { return strings.EqualFold(v, t) })
	}
	return true
}

// shape says in words what fits.
func (p param) shape() string {
	switch p.kind {
	case flag:
		return "true or false"
	case integer, index:
		return "a whole number"
	case date, day:
		return "an ISO 8601 date and time"
	case sid:
		return p.prefix + " and 32 hex digits"
	case choice, list:
		return "one of " + strings.Join(p.values, ", ")
	}
	return "text"
}

// none reports whether a text stands for no value at all.
func none(t string) bool { return t == "" || t == "null" }

// parseDate takes any zone and fractions of seconds.
func parseDate(t string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, t)
	return at.UTC(), err
}

// parseDay also takes a day alone, and says so.
func parseDay(t string) (at time.Time, whole bool, err error) {
	if at, err = time.Parse(time.DateOnly, t); err == nil {
		return at, true, nil
	}
	at, err = parseDate(t)
	return at, false, err
}

// text returns the parameter, nil when it was not given.
func (v values) text(name string) *string {
	if t, there := v[name]; there {
		return &t[0]
	}
	return nil
}

// str returns the parameter, empty when it was not given.
func (v values) str(name string) string {
	if t, there := v[name]; there {
		return t[0]
	}
	return ""
}

func (v values) list(name string) []string { return v[name] }

func (v values) flag(name string) *bool {
	if t, there := v[name]; there {
		yes := strings.EqualFold(t[0], "true")
		return &yes
	}
	return nil
}

func (v values) integer(name string) *int64 {
	t, there := v[name]
	if !there || none(t[0]) {
		return nil
	}
	n, err := strconv.ParseInt(t[0], 10, 64)
	if err != nil {
		return nil // decode has refused it
	}
	return &n
}

// date returns the instant, zero when it was not given.
func (v values) date(name string) time.Time {
	if t, there := v[name]; there {
		if at, err := parseDate(t[0]); err == nil {
			return at
		}
	}
	return time.Time{}
}
