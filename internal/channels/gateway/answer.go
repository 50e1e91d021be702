package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels/attempt"
	"github.com/parley-engine/parley/internal/channels/carrier"
)

// meaning is what an HTTP status says of a message.
type meaning int

const (
	unknown meaning = iota
	accepted
	refused
	later
)

// byDefault is what statuses mean that no list has. Gateways answer 502 and 504
// for somebody behind them of whom they do not know.
var byDefault = map[string]meaning{"2xx": accepted, "4xx": refused, "429": later, "5xx": later, "502": unknown, "504": unknown}

// answer reads answers.
type answer struct {
	config   Answer
	meanings map[string]meaning // by 201 or 2xx
	id, code finder
	pause    time.Duration
}

// reply is one answer.
type reply struct {
	status int
	header http.Header
	body   []byte
	broken error // why body is not all
	now    time.Time
}

// finder finds text in an answer; at most one is set.
type finder struct {
	path    path
	pattern *regexp.Regexp
}

const (
	defaultPause = 5.0 // seconds
	longestPause = 86400.0
)

func newAnswer(c Answer) (*answer, error) {
	a := &answer{config: c, meanings: make(map[string]meaning), pause: seconds(cmp.Or(c.LaterSeconds, defaultPause))}
	a.config.Status = cmp.Or(c.Status, events.DeliveryQueued)
	given := 0
	for _, rule := range []bool{c.ID != "", c.IDPattern != "", c.IDFromKey} {
		if rule {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, errors.New("answer: exactly one of id, id_pattern and id_from_key is needed")
	case c.Code != "" && c.CodePattern != "":
		return nil, errors.New("answer: code and code_pattern exclude each other")
	case len(c.AcceptedCodes)+len(c.LaterCodes)+len(c.ErrorCodes) > 0 && c.Code == "" && c.CodePattern == "":
		return nil, errors.New("answer: codes are listed, but neither code nor code_pattern finds one")
	case a.config.Status != events.DeliveryQueued && a.config.Status != events.DeliverySent:
		return nil, errors.New("answer: status is neither queued nor sent")
	case c.LaterSeconds < 0 || c.LaterSeconds > longestPause:
		return nil, errors.New("answer: later_seconds is not between 0 and a day")
	}
	var errs [3]error
	a.id, errs[0] = newFinder("id", c.ID, c.IDPattern)
	a.code, errs[1] = newFinder("code", c.Code, c.CodePattern)
	errs[2] = a.list()
	return a, errors.Join(errs[:]...)
}

var statusPattern = regexp.MustCompile(`^[1-5](\d\d|xx)$`)

func (a *answer) list() error {
	for _, list := range []struct {
		statuses []string
		means    meaning
	}{{a.config.Accepted, accepted}, {a.config.Refused, refused}, {a.config.Later, later}, {a.config.Unknown, unknown}} {
		for _, s := range list.statuses {
			if _, twice := a.meanings[s]; twice || !statusPattern.MatchString(s) {
				return fmt.Errorf("answer: the status %.10q is listed twice, or none", s)
			}
			a.meanings[s] = list.means
		}
	}
	return nil
}

func newFinder(name, text, pattern string) (f finder, err error) {
	if text != "" {
		if f.path, err = parsePath(text); err != nil {
			return f, fmt.Errorf("answer: %s: %w", name, err)
		}
	}
	if pattern == "" {
		return f, nil
	}
	if f.pattern, err = regexp.Compile(pattern); err != nil || f.pattern.NumSubexp() != 1 {
		return f, fmt.Errorf("answer: %s_pattern is no regular expression with one group", name)
	}
	return f, nil
}

// find returns "" for nothing.
func (f finder) find(body []byte) string {
	if f.pattern != nil {
		if m := f.pattern.FindSubmatch(body); m != nil {
			return string(m[1])
		}
		return ""
	}
	if f.path.steps == nil {
		return ""
	}
	whole, err := parseJSON(body)
	if err != nil {
		return ""
	}
	return f.path.text(whole, whole)
}

func (a *answer) means(status int) meaning {
	exact := strconv.Itoa(status)
	class := exact[:1] + "xx"
	for _, name := range []string{exact, class} {
		if m, ok := a.meanings[name]; ok {
			return m
		}
		if m, ok := byDefault[name]; ok {
			if _, listed := a.meanings[class]; !listed {
				return m
			}
		}
	}
	return unknown
}

// judge says what became of the message with the key.
func (a *answer) judge(r reply, key string) (carrier.Sent, error) {
	code := a.code.find(r.body)
	means := a.means(r.status)
	switch {
	case means != unknown && code != "" && slices.Contains(a.config.LaterCodes, code):
		means = later
	case means == accepted && len(a.config.AcceptedCodes) > 0 && code == "":
		means = unknown
	case means == accepted && len(a.config.AcceptedCodes) > 0 && !slices.Contains(a.config.AcceptedCodes, code):
		means = refused
	}
	said := fmt.Sprintf("status %d, code %.40q", r.status, code)
	switch means {
	case accepted:
		return a.sent(r, key)
	case refused:
		return carrier.Sent{}, &carrier.Refused{Code: a.config.ErrorCodes[code], Reason: said}
	case later:
		return carrier.Sent{}, &carrier.Later{After: attempt.RetryAfter(r.header, r.now, a.pause), Reason: said}
	}
	return carrier.Sent{}, fmt.Errorf("send to the gateway: %w: %s", carrier.ErrUnknown, said)
}

// sent names an accepted message; without a name it is unknown what was accepted.
func (a *answer) sent(r reply, key string) (carrier.Sent, error) {
	id := key
	if !a.config.IDFromKey {
		id = a.id.find(r.body)
	}
	if id == "" {
		return carrier.Sent{}, errors.Join(fmt.Errorf("send to the gateway: %w: status %d without an id", carrier.ErrUnknown, r.status), r.broken)
	}
	return carrier.Sent{ID: id, Status: a.config.Status}, nil
}
