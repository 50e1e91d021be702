package gateway

import (
	"errors"
	"fmt"
	"slices"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels/carrier"
)

// status reads statuses.
type status struct {
	config Status
	source
	id, to, word, code field
}

// ignore is the word for words that say nothing.
const ignore = "ignore"

var known = []string{
	events.DeliveryQueued, events.DeliverySent, events.DeliveryDelivered, events.DeliveryRead, events.DeliveryFailed,
	events.DeliveryUndelivered, ignore,
}

// newStatus returns nil for nil.
func newStatus(c *Status) (*status, error) {
	if c == nil {
		return nil, nil
	}
	s, err := newSource(c.Callback)
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	if c.ID == "" || c.Status == "" || len(c.Words) == 0 {
		return nil, errors.New("status: id, status and words are needed")
	}
	for word, means := range c.Words {
		if !slices.Contains(known, means) {
			return nil, fmt.Errorf("status: %.40q means %.40q, which is no status", word, means)
		}
	}
	if len(c.ErrorCodes) > 0 && c.Code == "" {
		return nil, errors.New("status: error_codes without code")
	}
	st := &status{config: *c, source: s}
	var errs [4]error
	st.id, errs[0] = st.field("status: id", c.ID)
	st.to, errs[1] = st.field("status: to", c.To)
	st.word, errs[2] = st.field("status: status", c.Status)
	st.code, errs[3] = st.field("status: code", c.Code)
	return st, errors.Join(errs[:]...)
}

func (s *status) read(r carrier.Request, c *Config) ([]carrier.Report, error) {
	items, err := s.items(r)
	if err != nil {
		return nil, err
	}
	var reports []carrier.Report
	for _, i := range items {
		one, err := s.one(i, c)
		if err != nil {
			return nil, err
		}
		if one.Status != ignore {
			reports = append(reports, carrier.Report{Status: one})
		}
	}
	return reports, nil
}

func (s *status) one(i item, c *Config) (*carrier.Status, error) {
	word := i.text(s.word)
	means, ok := s.config.Words[word]
	one := &carrier.Status{ID: i.text(s.id), To: c.parleys(i.text(s.to)), Status: means, ErrorCode: s.config.ErrorCodes[i.text(s.code)]}
	switch {
	case !ok:
		return nil, &carrier.Malformed{Reason: fmt.Sprintf("the status is %.40q", word)}
	case one.ID == "":
		return nil, &carrier.Malformed{Reason: "a status has no id"}
	}
	var err error
	one.At, err = s.at(i)
	return one, err
}
