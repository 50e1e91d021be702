package conversation

import (
	"cmp"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

func addMessage(s State, c AddMessage) ([]events.Event, error) {
	if c.Content != "" { // a template stands in for text and media (reference 4.3)
		c.Body, c.Media = "", nil
	}
	files, missing := c.files()
	c.Media = files
	if err := cmp.Or(s.found(), s.maySend(c), s.permits(whileOpen), missing, s.checkMessage(c)); err != nil {
		return nil, err
	}
	name := cmp.Or(c.Author, c.Caller.Identity, systemAuthor)
	author, err := s.checkAuthor(name)
	if err != nil {
		return nil, err
	}
	created := effective(c.DateCreated, c.At)
	added := events.MessageAdded{
		Message: c.Sid, Index: s.index(c), Author: name, Participant: author.Sid,
		Body: c.Body, Media: c.Media, Attributes: attributes(c.Attributes), Subject: c.Subject,
		Content: c.Content, ContentVariables: c.ContentVariables, Recipients: s.recipients(author),
		DateCreated: created, DateUpdated: effective(c.DateUpdated, created), At: c.At,
	}
	return append([]events.Event{added}, s.wake(c.Issue)...), nil
}

// index is the next, or the one that history gave.
func (s State) index(c AddMessage) int64 {
	if c.Index == nil {
		return s.NextIndex
	}
	return *c.Index
}

// checkIndexGiven refuses an index that is not ahead: they rise in the order of the
// messages, and none is used twice.
func (s State) checkIndexGiven(c AddMessage) error {
	switch {
	case c.Index == nil:
		return nil
	case !c.Caller.Imports():
		return importOnly("index", "give the index of a message")
	case *c.Index < s.NextIndex:
		return domain.Refuse(domain.AlreadyExists, "index_used", "index", 0,
			"Index %d is used or passed over: the next is %d", *c.Index, s.NextIndex)
	}
	return checkNextIndex(c.Index, "index")
}

func checkNextIndex(index *int64, field string) error {
	if index != nil && (*index < 0 || *index > maxIndex) {
		return invalid("index_invalid", field, 0, "An index is from 0 to %d", int64(maxIndex))
	}
	return nil
}

// maySend asks for the permissions of what is in the message; a user writes in
// his own name only.
func (s State) maySend(c AddMessage) error {
	if c.Caller.Identity == "" {
		return nil
	}
	if err := s.takesPart(c.Caller); err != nil {
		return err
	}
	if c.Author != "" && c.Author != c.Caller.Identity {
		return serverOnly(c.Caller, "author", "write in another name")
	}
	if len(c.Media) > 0 {
		if err := s.may(c.Caller, sendMediaMessage); err != nil {
			return err
		}
	}
	if len(c.Media) == 0 || c.Body != "" {
		if err := s.may(c.Caller, sendMessage); err != nil {
			return err
		}
	}
	return checkDates(c.Caller, c.DateCreated, c.DateUpdated)
}

func (s State) checkMessage(c AddMessage) error {
	if _, used := s.Messages[c.Sid]; used {
		return domain.Refuse(domain.AlreadyExists, "message_exists", "sid", 20409, "Message %s exists or has existed", c.Sid)
	}
	return cmp.Or(
		checkSid("IM", c.Sid, "sid", 50501),
		checkSomething(c.Body != "" || len(c.Media) > 0 || c.Content != "" || c.Caller.Imports()),
		checkBody(c.Body),
		c.checkAttributes(c.Attributes, maxPartAttributes),
		checkText(c.Subject, "subject", maxNameChars, 0),
		domain.CheckLine(c.Subject, "subject", 0),
		checkMedia(c.Media),
		s.checkUnattached(c.Media),
		checkContent(c.Content, c.ContentVariables),
		s.checkIndexGiven(c),
	)
}

func checkSomething(there bool) error {
	if !there {
		return invalid("body_missing", "body", 50503, "A message needs a body, media or content")
	}
	return nil
}

// checkBody counts bytes. What a channel can carry is the channel's to say:
// a text too long for one recipient fails for that recipient only.
func checkBody(body string) error {
	if len(body) > maxBody {
		return invalid("body_too_long", "body", 50504, "body is longer than %d bytes", maxBody)
	}
	return checkText(body, "body", maxBody, 50504)
}

// checkAuthor finds the participant behind an author, if there is one. In a
// group MMS there must be (50513).
func (s State) checkAuthor(name string) (Participant, error) {
	if err := checkText(name, "author", maxNameChars, 50310); err != nil {
		return Participant{}, err
	}
	p, ok := s.author(name)
	if !ok && s.isGroup() {
		return p, domain.Refuse(domain.FailedPrecondition, "author_not_in_group", "author", 50513,
			"In a group MMS the author must be a member")
	}
	return p, nil
}

// recipients are the participants outside chat that a message goes to: all but
// its author, in the order they came. Somebody who is in the conversation twice,
// through two proxy addresses, does not get his own words back.
func (s State) recipients(author Participant) []string {
	if s.nonChat() == 0 {
		return nil
	}
	var sids []string
	for _, p := range s.inOrder() {
		if to := p.Binding.Address; to != "" && to != author.Binding.Address {
			sids = append(sids, p.Sid)
		}
	}
	return sids
}

func editMessage(s State, c EditMessage) ([]events.Event, error) {
	if err := s.found(); err != nil {
		return nil, err
	}
	m, ok := s.message(c.Message)
	if err := cmp.Or(s.mayEdit(c, m), s.permits(whileOpen)); err != nil {
		return nil, err
	}
	if !ok {
		return nil, messageNotFound(c.Message)
	}
	if err := checkEdit(c, m); err != nil {
		return nil, err
	}
	var author Participant
	if c.Author != nil && *c.Author != m.Author {
		var err error
		if author, err = s.checkAuthor(*c.Author); err != nil {
			return nil, err
		}
	}
	return messageChanges(m, author.Sid, c), nil
}

func checkEdit(c EditMessage, m Message) error {
	if c.Body != nil {
		if err := checkSomething(*c.Body != "" || m.Media); err != nil {
			return err
		}
	}
	if c.Author != nil && *c.Author == "" {
		return invalid("author_empty", "author", 50310, "The author is empty")
	}
	return cmp.Or(
		checkBody(text(c.Body)),
		checkAttributes(text(c.Attributes), maxPartAttributes),
		checkText(text(c.Subject), "subject", maxNameChars, 0),
		domain.CheckLine(text(c.Subject), "subject", 0),
	)
}

func messageChanges(m Message, author string, c EditMessage) []events.Event {
	d := dates{time.UnixMicro(m.Created).UTC(), time.UnixMicro(m.Created + m.Edited).UTC(), c.DateCreated, c.DateUpdated}
	at, stamp := c.At, d.stamp(c.At)
	var es []events.Event
	if c.Author != nil && *c.Author != m.Author {
		es = append(es, events.MessageAuthorChanged{
			Message: c.Message, Author: *c.Author, Participant: author, DateUpdated: stamp, At: at,
		})
	}
	if c.Body != nil && digest(*c.Body) != m.Body {
		es = append(es, events.MessageBodyEdited{Message: c.Message, Body: *c.Body, DateUpdated: stamp, At: at})
	}
	if c.Attributes != nil && digest(*c.Attributes) != m.Attributes {
		es = append(es, events.MessageAttributesChanged{
			Message: c.Message, Attributes: attributes(*c.Attributes), DateUpdated: stamp, At: at,
		})
	}
	if c.Subject != nil && digest(*c.Subject) != m.Subject {
		es = append(es, events.MessageSubjectChanged{Message: c.Message, Subject: *c.Subject, DateUpdated: stamp, At: at})
	}
	if created, updated, needed := d.set(at, len(es) > 0); needed {
		es = append(es, events.MessageDatesSet{Message: c.Message, DateCreated: created, DateUpdated: updated, At: at})
	}
	return es
}

// wrote reports whether the caller is the message's author.
func (s State) wrote(c domain.Caller, m Message) bool {
	p, present := s.Participant(c.Identity)
	return c.Identity != "" && (m.Author == c.Identity || present && m.By == p.Number)
}

func (s State) mayEdit(c EditMessage, m Message) error {
	if c.Caller.Identity == "" {
		return nil
	}
	mine := s.wrote(c.Caller, m)
	if c.Author != nil {
		return serverOnly(c.Caller, "author", "change the author")
	}
	if c.Body != nil || c.Subject != nil {
		if err := s.mayTouch(c.Caller, mine, editOwnMessage, editAnyMessage); err != nil {
			return err
		}
	}
	if c.Attributes != nil {
		if err := s.mayTouch(c.Caller, mine, editOwnMessageAttributes, editAnyMessageAttributes); err != nil {
			return err
		}
	}
	return checkDates(c.Caller, c.DateCreated, c.DateUpdated)
}

func removeMessage(s State, c RemoveMessage) ([]events.Event, error) {
	if err := s.found(); err != nil {
		return nil, err
	}
	m, ok := s.message(c.Message)
	mine := s.wrote(c.Caller, m)
	if err := cmp.Or(s.mayTouch(c.Caller, mine, deleteOwnMessage, deleteAnyMessage), s.permits(alsoClosed)); err != nil {
		return nil, err
	}
	if !ok {
		return nil, messageNotFound(c.Message)
	}
	return []events.Event{events.MessageRemoved{Message: c.Message, At: c.At}}, nil
}

func messageNotFound(sid string) error {
	return domain.Refuse(domain.NotFound, "message_not_found", "message", 50500, "Message %.40q was not found", sid)
}
