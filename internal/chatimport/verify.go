package chatimport

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"slices"
	"time"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

// messages are a sequence of messages, as far as it is compared.
type messages struct {
	indexes []int64
	last    int64 // index of the last, -1 if there is none
	digest  hash.Hash
}

func newMessages() messages { return messages{last: -1, digest: sha256.New()} }

func (m *messages) add(sid string, index int64, author, body, attributes string, created time.Time) {
	m.indexes, m.last = append(m.indexes, index), index
	if author == "" {
		author = "system"
	}
	if attributes == "" {
		attributes = "{}"
	}
	fmt.Fprintf(m.digest, "%s %d %d %q %q %q\n", sid, index, created.Unix(), author, body, attributes)
}

// unread is how many come behind an index.
func (m *messages) unread(index int64) int64 {
	at, _ := slices.BinarySearch(m.indexes, index+1)
	return int64(len(m.indexes) - at)
}

// tally is what the log has of a channel.
type tally struct {
	messages
	created  int
	members  map[string]bool
	horizons map[string]int64   // of imports
	state    conversation.State // with what happened here since
}

func (m *moving) tally(ctx context.Context) (tally, error) {
	t := tally{messages: newMessages(), members: map[string]bool{}, horizons: map[string]int64{}}
	err := m.read(ctx, m.stream, func(_ events.Recorded, e events.Event, imported bool) {
		t.state = conversation.Evolve(t.state, e)
		if !imported {
			return
		}
		switch e := e.(type) {
		case events.ConversationCreated:
			t.created++
		case events.ParticipantAdded:
			t.members[e.Participant] = true
		case events.MessageAdded:
			t.add(e.Message, e.Index, e.Author, e.Body, e.Attributes, e.DateCreated)
		case events.ReadHorizonMoved:
			t.horizons[e.Participant] = e.Index
		}
	})
	return t, err
}

// verify compares the log with the source, by what is in the log now.
func (m *moving) verify(ctx context.Context) error {
	t, err := m.tally(ctx)
	if err != nil {
		return err
	}
	m.found(kindChannel, t.created)
	m.found(kindMember, len(t.members))
	m.found(kindMessage, len(t.indexes))
	m.compare(m.Sid, "participants", int64(m.Counts[kindMember].Source), int64(len(t.members)))
	m.compare(m.Sid, "messages", int64(m.Counts[kindMessage].Source), int64(len(t.indexes)))
	m.compare(m.Sid, "last index", m.sent.last, t.last)
	if string(m.sent.digest.Sum(nil)) != string(t.digest.Sum(nil)) {
		m.compare(m.Sid, "contents of messages", 0, 1)
	}
	if t.state.NextIndex < m.next {
		m.compare(m.Sid, "next index", m.next, t.state.NextIndex)
	}
	for _, p := range m.members {
		m.verifyReading(t, p)
	}
	return nil
}

// verifyReading compares how far a member has read, and what that leaves unread.
func (m *moving) verifyReading(t tally, p chatMember) {
	if p.ReadIndex == nil {
		return
	}
	found, there := t.horizons[p.Sid]
	if !there {
		found = -1
	}
	if now, present := t.state.Participants[p.Sid]; present && now.LastRead > found {
		found = now.LastRead // he has read on here
	}
	if found >= t.state.NextIndex {
		m.compare(p.Sid, "read beyond the last index", t.state.NextIndex-1, found)
	}
	if found < *p.ReadIndex {
		m.compare(p.Sid, "read horizon", *p.ReadIndex, found)
	} else {
		m.found(kindHorizon, 1)
	}
	if unread := m.views[p.Sid].unread; unread != nil {
		m.compare(p.Sid, "unread messages", min(*unread, maxUnread), min(t.unread(*p.ReadIndex), maxUnread))
	}
}

// maxUnread is what Chat counts up to.
const maxUnread = 1000

// verifyOne looks whether a thing with a stream of its own is in the log, written by
// an import.
func (im *importer) verifyOne(ctx context.Context, f *Findings, kind, sid, stream string, v verdict) error {
	found := 0
	err := im.read(ctx, stream, func(_ events.Recorded, _ events.Event, imported bool) {
		if imported {
			found = 1
		}
	})
	f.found(kind, found)
	if v.there() {
		f.compare(sid, kind, 1, int64(found))
	}
	return err
}
