package smpp

import (
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels/carrier"
)

// mostSentParts is how many parts of long messages are remembered until their
// receipts came.
const mostSentParts = 100_000

// sentParts knows to which message a part belongs, so that the receipts of all
// parts become one status. It is in memory: after a restart the receipt of the
// first part speaks for the message. It is safe for concurrent use.
type sentParts struct {
	mu       sync.Mutex
	messages *lru.Cache[string, *longMessage] // by the id of a part
}

// longMessage is one message of one or more parts. sentParts.mu covers it but
// first, which is for whoever sends it: it is there after the first response.
type longMessage struct {
	total    int
	accepted int                        // parts; some SMSCs give all the same id
	first    string                     // the id that is the message's
	statuses map[string]*carrier.Status // by the id of a part; nil without a receipt
}

func newSentParts() (*sentParts, error) {
	messages, err := lru.New[string, *longMessage](mostSentParts)
	if err != nil {
		return nil, err
	}
	return &sentParts{messages: messages}, nil
}

func (s *sentParts) begin(total int) *longMessage {
	return &longMessage{total: total, statuses: make(map[string]*carrier.Status)}
}

// accepted notes that the SMSC took a part. It runs before a receipt can be read.
func (s *sentParts) accepted(m *longMessage, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.first == "" {
		m.first = id
	}
	m.accepted++
	if m.total > 1 {
		m.statuses[id] = nil
		s.messages.Add(id, m)
	}
}

// resolve turns the status of a part into that of its message: delivered when all
// parts are, failed or undelivered as soon as one is; false when nothing follows
// yet. A status twice is answered twice: the first answer may not have been taken.
func (s *sentParts) resolve(part carrier.Status) (carrier.Status, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, known := s.messages.Get(part.ID)
	if !known {
		return part, true
	}
	if before := m.statuses[part.ID]; before == nil || !final(before.Status) {
		m.statuses[part.ID] = &part
	}
	delivered := 0
	for _, status := range m.statuses {
		switch {
		case status == nil:
		case status.Status == events.DeliveryDelivered:
			delivered++
		case final(status.Status):
			bad := *status
			bad.ID = m.first
			return bad, true
		}
	}
	part.ID, part.Status = m.first, events.DeliveryDelivered
	return part, m.accepted == m.total && delivered == len(m.statuses)
}

func final(status string) bool {
	return status != events.DeliveryQueued && status != events.DeliverySent
}
