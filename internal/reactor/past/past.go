// Package past knows conversations as they were when an event was written: with the
// texts that the domain's state leaves out. Read models are of now, which may be before
// or after the event; reactors tell what was true at it.
package past

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Conversation is one as its events up to a revision left it.
type Conversation struct {
	conversation.State
	Revision   store.Revision
	Attributes string               // the conversation's
	Traits     map[string]string    // attributes of participants, by MB…
	Texts      map[string]Text      // of messages, by IM…
	Opened     map[string]time.Time // when receipts were opened, by DY…

	size int // bytes of texts
}

// Text is what a message says.
type Text struct {
	Body, Attributes, Subject string
	Content                   string // HX…
	Media                     []events.Media
}

// ErrUnreadable says that a conversation's history has an event that cannot be read.
// That does not get better by itself.
var ErrUnreadable = errors.New("the history cannot be read")

// DefaultLimit is the texts that are kept in memory, in bytes.
const DefaultLimit = 64 << 20

// Conversations folds conversations and keeps those that were used last. It is safe
// for concurrent use; one look at a time.
type Conversations struct {
	log   store.StreamReader
	limit int

	mu   sync.Mutex
	kept *simplelru.LRU[string, *Conversation]
	size int
}

// New returns conversations of a log. A limit of 0 is DefaultLimit.
func New(log store.StreamReader, limit int) *Conversations {
	if limit == 0 {
		limit = DefaultLimit
	}
	kept, err := simplelru.NewLRU[string, *Conversation](math.MaxInt32, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &Conversations{log: log, limit: limit, kept: kept}
}

// Now has look see a conversation as the log has it now. What it sees must not be
// changed and not be kept.
func (c *Conversations) Now(ctx context.Context, sid string, look func(*Conversation) error) error {
	return c.see(ctx, sid, store.End, nil, look)
}

// Before has look see a conversation as it was before the event, in the way of Now.
func (c *Conversations) Before(ctx context.Context, recorded *events.Recorded, look func(*Conversation) error) error {
	_, sid, _ := events.SplitStream(recorded.Stream)
	return c.see(ctx, sid, store.Revision(recorded.Revision)-1, nil, look)
}

// After has look see a conversation as it was after the event, in the way of Now.
func (c *Conversations) After(ctx context.Context, recorded *events.Recorded, look func(*Conversation) error) error {
	_, sid, _ := events.SplitStream(recorded.Stream)
	return c.see(ctx, sid, store.Revision(recorded.Revision), recorded, look)
}

// see folds up to the revision; last is the event of that revision, if it is at hand.
func (c *Conversations) see(ctx context.Context, sid string, upto store.Revision, last *events.Recorded, look func(*Conversation) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.kept.Get(sid)
	if ok {
		c.drop(sid)
	}
	if !ok || known.Revision > upto {
		known = &Conversation{Revision: store.NoStream}
	}
	if last != nil && known.Revision < upto {
		if err := c.catchUp(ctx, known, sid, upto-1); err != nil {
			return err
		}
		if err := known.take(last); err != nil {
			return err
		}
	}
	if err := c.catchUp(ctx, known, sid, upto); err != nil {
		return err
	}
	c.keep(sid, known)
	return look(known)
}

func (c *Conversations) drop(sid string) {
	if known, ok := c.kept.Peek(sid); ok {
		c.size -= known.size
		c.kept.Remove(sid)
	}
}

// overhead is what an event leaves in memory besides its texts, in bytes.
const overhead = 200

func (c *Conversations) keep(sid string, known *Conversation) {
	c.size += known.size
	c.kept.Add(sid, known)
	for c.size > c.limit && c.kept.Len() > 1 {
		if _, oldest, ok := c.kept.RemoveOldest(); ok {
			c.size -= oldest.size
		}
	}
}

func (c *Conversations) catchUp(ctx context.Context, known *Conversation, sid string, upto store.Revision) error {
	if known.Revision >= upto {
		return nil
	}
	stream := events.Stream(events.CategoryConversation, sid)
	for recorded, err := range c.log.ReadStream(ctx, stream, known.Revision+1, store.Forwards) {
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		if store.Revision(recorded.Revision) > upto {
			return nil
		}
		if err := known.take(&recorded); err != nil {
			return err
		}
		if known.Revision == upto {
			return nil
		}
	}
	return nil
}

// take folds the next event.
func (c *Conversation) take(recorded *events.Recorded) error {
	event, err := events.Vocabulary().Decode(recorded.Type, recorded.Data)
	if err != nil {
		return fmt.Errorf("%w: %s revision %d: %w", ErrUnreadable, recorded.Stream, recorded.Revision, err)
	}
	if !foldable(event) {
		return fmt.Errorf("%w: %s revision %d: %s is no event of a conversation", ErrUnreadable, recorded.Stream, recorded.Revision, recorded.Type)
	}
	c.fold(event)
	c.size += len(recorded.Data) + overhead
	c.Revision = store.Revision(recorded.Revision)
	return nil
}

// foldable reports whether an event is one that a conversation's stream may have.
func foldable(event events.Event) bool {
	name := event.EventType()
	return strings.HasPrefix(name, events.CategoryConversation+".") || name == events.ReservationLost{}.EventType()
}

func (c *Conversation) fold(event events.Event) {
	c.State = conversation.Evolve(c.State, event)
	switch e := event.(type) {
	case events.ConversationCreated:
		c.Attributes = e.Attributes
	case events.ConversationAttributesChanged:
		c.Attributes = e.Attributes
	case events.ParticipantAdded:
		c.Traits = put(c.Traits, e.Participant, e.Attributes)
	case events.ParticipantAttributesChanged:
		c.Traits = put(c.Traits, e.Participant, e.Attributes)
	case events.ParticipantRemoved:
		delete(c.Traits, e.Participant)
	case events.DeliveryUpdated:
		if _, opened := c.Opened[e.Receipt]; !opened {
			c.Opened = put(c.Opened, e.Receipt, e.At)
		}
	default:
		c.foldMessage(event)
	}
}

func (c *Conversation) foldMessage(event events.Event) {
	switch e := event.(type) {
	case events.MessageAdded:
		c.Texts = put(c.Texts, e.Message, Text{Body: e.Body, Attributes: e.Attributes, Subject: e.Subject, Content: e.Content, Media: e.Media})
	case events.MessageBodyEdited:
		t := c.Texts[e.Message]
		t.Body = e.Body
		c.Texts = put(c.Texts, e.Message, t)
	case events.MessageAttributesChanged:
		t := c.Texts[e.Message]
		t.Attributes = e.Attributes
		c.Texts = put(c.Texts, e.Message, t)
	case events.MessageSubjectChanged:
		t := c.Texts[e.Message]
		t.Subject = e.Subject
		c.Texts = put(c.Texts, e.Message, t)
	case events.MessageRemoved:
		delete(c.Texts, e.Message)
	}
}

func put[V any](m map[string]V, key string, value V) map[string]V {
	if m == nil {
		m = map[string]V{}
	}
	m[key] = value
	return m
}
