package chatimport

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
)

// eachChannel goes through a service's channels that are to be imported, each once: a
// service that is in use may list one twice.
func (im *importer) eachChannel(ctx context.Context, s chatService, f *Findings, do func(chatChannel)) error {
	seen := map[string]bool{}
	for item, err := range im.source.Items(ctx, List{Path: "Services/" + s.Sid + "/Channels", Key: "channels"}) {
		var c chatChannel
		if err == nil {
			err = item.decode(&c)
		}
		if err == nil {
			err = sound(item, "CH", c.Sid, c.DateCreated, within{"service", c.Service, s.Sid})
		}
		switch {
		case err != nil:
			return err
		case seen[c.Sid]:
			continue
		case c.Type != "private" && c.Type != "public":
			return fmt.Errorf("%s: %s has the type %.40q, neither private nor public", item.At(), c.Sid, c.Type)
		case c.Type == "public" && !im.options.Publicize:
			f.Skipped = append(f.Skipped, Note{kindChannel, c.Sid, "public", c.FriendlyName})
			continue
		case c.Type == "public":
			f.flag(kindChannel, c.Sid, "was_public", c.FriendlyName)
		}
		f.flagTexts(kindChannel, c.Sid, item, &c)
		seen[c.Sid], c.Service = true, s.Sid
		do(c)
	}
	return nil
}

// moving is one channel on its way.
type moving struct {
	*importer
	chatChannel
	*Findings
	ledger  ledger
	stream  string
	path    string
	views   map[string]view
	members []chatMember // that are participants now, or were
	sent    messages     // what the log should have
	next    int64        // index of the next message, by the source
}

// channel imports one channel with all it holds. Its members are read before its
// messages, its read horizons are set behind them.
func (im *importer) channel(ctx context.Context, c chatChannel, views map[string]view, f *Findings) error {
	m := &moving{
		importer: im, chatChannel: c, Findings: f, views: views, sent: newMessages(),
		stream: events.Stream(events.CategoryConversation, c.Sid), path: "Services/" + c.Service + "/Channels/" + c.Sid,
	}
	var err error
	if m.ledger, err = im.ledger(ctx, m.stream); err != nil {
		return err
	}
	m.flagAttributes(kindChannel, c.Sid, c.Attributes, conversationAttributes)
	v, err := m.send(ctx, kindChannel, c.Sid, c.Sid, c.DateCreated, c.create())
	if err != nil || !v.there() {
		return err
	}
	for _, step := range []func(context.Context) error{m.addMembers, m.addMessages, m.reserve, m.setHorizons, m.dropInvites, m.verify} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// send has one command on the conversation carried out.
func (m *moving) send(ctx context.Context, kind, sid, key string, occurred time.Time, f fields) (verdict, error) {
	return m.do(ctx, m.ledger, m.Findings, kind, sid, m.command(kind, key, m.Service, m.Sid, occurred, f))
}

func (m *moving) addMembers(ctx context.Context) error {
	listed := 0
	for item, err := range m.source.Items(ctx, List{Path: m.path + "/Members", Key: "members"}) {
		var p chatMember
		if err == nil {
			err = item.decode(&p)
		}
		if err == nil {
			err = sound(item, "MB", p.Sid, p.DateCreated, within{"channel", p.Channel, m.Sid})
		}
		if err != nil {
			return err
		}
		listed++
		m.flagTexts(kindMember, p.Sid, item, &p)
		m.flagAttributes(kindMember, p.Sid, p.Attributes, partAttributes)
		v, err := m.send(ctx, kindMember, p.Sid, p.Sid, p.DateCreated, p.add())
		if err != nil {
			return err
		}
		if v.there() {
			m.members = append(m.members, p)
		}
		if p.ReadIndex != nil {
			m.next = max(m.next, *p.ReadIndex+1)
		}
	}
	if listed > conversation.DefaultLimits.Participants {
		m.flag(kindChannel, m.Sid, "too_many_participants", strconv.Itoa(listed))
	}
	if m.MembersCount != nil {
		m.compare(m.Sid, "members_count", *m.MembersCount, int64(listed))
	}
	return nil
}

func (m *moving) addMessages(ctx context.Context) error {
	last := int64(-1)
	for item, err := range m.source.Items(ctx, List{Path: m.path + "/Messages", Key: "messages"}) {
		var c chatMessage
		if err == nil {
			err = item.decode(&c)
		}
		if err == nil {
			err = sound(item, "IM", c.Sid, c.DateCreated, within{"channel", c.Channel, m.Sid})
		}
		switch {
		case err != nil:
			return err
		case c.Index == nil || *c.Index <= last:
			return fmt.Errorf("%s: %s has no index above %d, that of the message before it: messages come in the order of their indexes", item.At(), c.Sid, last)
		}
		last = *c.Index
		m.flagTexts(kindMessage, c.Sid, item, &c)
		if err := m.addMessage(ctx, c); err != nil {
			return err
		}
	}
	m.next = max(m.next, last+1, m.MessagesCount)
	return nil
}

func (m *moving) addMessage(ctx context.Context, c chatMessage) error {
	m.flagAttributes(kindMessage, c.Sid, c.Attributes, partAttributes)
	if c.Body == "" && c.Media == nil {
		m.flag(kindMessage, c.Sid, "empty", "neither body nor media")
	}
	f := c.add()
	v, err := m.send(ctx, kindMessage, c.Sid, c.Sid, c.DateCreated, f)
	if err != nil {
		return err
	}
	if c.Media != nil && v.there() {
		m.MediaWithoutBytes++
	}
	if v.there() {
		m.sent.add(f.Sid, *f.Index, f.Author, f.Body, f.Attributes, f.DateCreated)
	}
	return nil
}

// reserve keeps the indexes of messages that are gone from being given again:
// somebody may have read one, and would never see the new one as unread.
func (m *moving) reserve(ctx context.Context) error {
	if m.next <= m.sent.last+1 {
		return nil
	}
	key := fmt.Sprintf("%s %d", m.Sid, m.next)
	_, err := m.send(ctx, kindReservation, m.Sid, key, time.Time{}, conversation.Update{NextIndex: &m.next})
	return err
}

// setHorizons never moves one back: who has read on here since an earlier import has
// read what he has read.
func (m *moving) setHorizons(ctx context.Context) error {
	for _, p := range m.members {
		if p.ReadIndex != nil {
			f := p.read()
			key := fmt.Sprintf("%s %d %s", p.Sid, *p.ReadIndex, f.ReadAt.Format(time.RFC3339))
			if _, err := m.send(ctx, kindHorizon, p.Sid, key, f.ReadAt, f); err != nil {
				return err
			}
		}
		if m.views[p.Sid].level != "muted" {
			continue
		}
		f := conversation.SetNotificationLevel{Participant: p.Sid, Level: "muted"}
		if _, err := m.send(ctx, kindLevel, p.Sid, p.Sid, time.Time{}, f); err != nil {
			return err
		}
	}
	return nil
}

func (m *moving) dropInvites(ctx context.Context) error {
	for item, err := range m.source.Items(ctx, List{Path: m.path + "/Invites", Key: "invites", Optional: true}) {
		var i chatInvite
		if err == nil {
			err = item.decode(&i)
		}
		if err != nil {
			return err
		}
		m.drop(kindInvite, i.Sid, "invite", i.Identity+" to "+m.Sid)
	}
	return nil
}

// flagTexts says what cannot be kept as it is: half of a surrogate pair becomes U+FFFD.
func (f *Findings) flagTexts(kind, sid string, item Item, into any) {
	if err := engine.CheckJSON(item.JSON, into); err != nil {
		f.flag(kind, sid, "text_invalid", engine.AsFailure(err).Message)
	}
}

// flagAttributes says what is unusual about attributes that are taken as they are.
func (f *Findings) flagAttributes(kind, sid, attributes string, limit int) {
	if attributes != "" && !json.Valid([]byte(attributes)) {
		f.flag(kind, sid, "attributes_not_json", "kept as a JSON text of the same characters")
	}
	if len(attributes) > limit {
		f.flag(kind, sid, "attributes_too_long", fmt.Sprintf("%d bytes, over %d", len(attributes), limit))
	}
}
