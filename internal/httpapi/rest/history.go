package rest

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// eventBody is an event of a conversation's history.
type eventBody struct {
	ID        events.ID       `json:"id"`
	Type      string          `json:"type"`
	Revision  uint64          `json:"revision"`
	Position  events.Position `json:"position"`
	Recorded  string          `json:"recorded" format:"date-time"`
	Occurred  string          `json:"occurred" format:"date-time"`
	Actor     events.Actor    `json:"actor"`
	Command   string          `json:"command"`
	CommandID events.ID       `json:"command_id"`
	Data      json.RawMessage `json:"data"`
}

func eventBodyOf(e events.Recorded) eventBody {
	m := e.Metadata
	return eventBody{
		ID: e.ID, Type: e.Type, Revision: e.Revision, Position: e.Position, Recorded: stamp(e.Recorded), Occurred: stamp(m.Occurred),
		Actor: m.Actor, Command: m.Command, CommandID: m.CommandID, Data: e.Data,
	}
}

// listHistory reads a conversation's stream, oldest first or newest first. Its
// pages are revisions, which never move.
func listHistory(c *call) error {
	p, err := c.historyPage()
	if err != nil {
		return err
	}
	sid, err := c.read("Sid")
	if err != nil {
		return err
	}
	row, err := c.Models.Conversation(c.r.Context(), c.place.Service, sid)
	if err := c.found(err, row.AccountSid, row.ChatServiceSid); err != nil {
		return err
	}
	items, next, err := c.history(sid, p)
	if err != nil {
		return err
	}
	m := meta{Page: p.number, PageSize: p.Limit, Key: c.route.list, FirstURL: c.pageURL(p.paged, 0, ""), URL: c.pageURL(p.paged, p.number, p.token)}
	if next >= 0 {
		m.NextURL = maybe(c.pageURL(p.paged, p.number+1, historyToken(next)))
	}
	return c.answer(map[string]any{c.route.list: items, "meta": m})
}

type historyPage struct {
	paged
	from      store.Revision
	direction store.Direction
	upto      moment
}

// moment ends a history: a position, or a time by one of the clocks. The zero moment does
// not end it.
type moment struct {
	position events.Position
	time     time.Time
	occurred bool
}

// has reports whether an event belongs to the history.
func (m moment) has(e *events.Recorded) bool {
	switch {
	case !m.position.IsZero():
		return e.Position.Compare(m.position) <= 0
	case m.time.IsZero():
		return true
	case m.occurred:
		return !e.OccurredAt().After(m.time)
	}
	return !e.Recorded.After(m.time)
}

// asOf reads AsOf, a position or a time, and Clock, which says what the time is compared
// with: Recorded or Occurred.
func (c *call) asOf() (m moment, err error) {
	text, clock := c.values.str("AsOf"), c.values.str("Clock")
	if m.occurred = strings.EqualFold(clock, "occurred"); !m.occurred && clock != "" && !strings.EqualFold(clock, "recorded") {
		return m, invalidParameter(20422, "Clock", "Clock is recorded or occurred")
	}
	if text == "" {
		return m, nil
	}
	if m.position, err = events.ParsePosition(text); err == nil {
		if m.occurred {
			return m, invalidParameter(20422, "Clock", "Clock is for a time, and AsOf is a position")
		}
		if m.position.IsZero() {
			return m, invalidParameter(20422, "AsOf", "AsOf is before everything: the first position is 1")
		}
		return m, nil
	}
	if m.time, err = time.Parse(time.RFC3339Nano, text); err != nil || domain.DateFault(m.time) != "" {
		return m, invalidParameter(20422, "AsOf", "AsOf is a position such as 1042, or a time such as 2026-11-25T16:00:00Z")
	}
	return m, nil
}

func historyToken(from int64) string { return "PH" + strconv.FormatInt(from, 10) }

func (c *call) historyPage() (historyPage, error) {
	upto, err := c.asOf()
	if err != nil {
		return historyPage{}, err
	}
	p, err := c.asked()
	h := historyPage{paged: p, direction: store.Forwards, upto: upto}
	if strings.EqualFold(c.values.str("Order"), "desc") {
		h.from, h.direction = store.End, store.Backwards
	}
	if err != nil || p.token == "" {
		return h, err
	}
	from, parseErr := strconv.ParseInt(strings.TrimPrefix(p.token, "PH"), 10, 64)
	if parseErr != nil || !strings.HasPrefix(p.token, "PH") || from < 0 {
		return h, invalidParameter(20422, "PageToken", "PageToken is not one of this list")
	}
	h.from = store.Revision(from)
	return h, nil
}

// history reads one page, and says at which revision the next one begins; below
// zero when there is none.
func (c *call) history(sid string, p historyPage) ([]eventBody, int64, error) {
	items := []eventBody{}
	for e, err := range c.Log.ReadStream(c.r.Context(), events.Stream(events.CategoryConversation, sid), p.from, p.direction) {
		if err != nil {
			return nil, -1, err
		}
		if !p.upto.has(&e) {
			continue
		}
		if len(items) == p.Limit {
			return items, int64(e.Revision), nil
		}
		items = append(items, eventBodyOf(e))
	}
	return items, -1, nil
}
