package conversation

import (
	"fmt"
	"time"

	"github.com/parley-engine/parley/events"
)

// Evolve folds one event into the state. It only assigns: whatever could be
// refused was refused by Decide.
//
// It owns its argument and may change the maps in it, so that folding a long
// history copies nothing; the caller goes on with the result only. An event
// that cannot be part of a conversation's stream is a bug: Evolve panics.
func Evolve(s State, e events.Event) State {
	switch e := e.(type) {
	case events.ConversationCreated:
		return s.begin(e)
	case events.ConversationFriendlyNameChanged:
		s.FriendlyName, s.DateUpdated = e.FriendlyName, e.DateUpdated
	case events.ConversationUniqueNameChanged:
		s.UniqueName, s.DateUpdated = e.UniqueName, e.DateUpdated
	case events.ConversationAttributesChanged:
		s.Attributes, s.DateUpdated = digest(e.Attributes), e.DateUpdated
	case events.ConversationMessagingServiceAttached:
		s.MessagingService, s.DateUpdated = e.MessagingService, e.DateUpdated
	case events.ConversationEmailChanged:
		s.Email, s.DateUpdated = e.Email, e.DateUpdated
	case events.ConversationTimersConfigured:
		s.Timers, s.Since, s.DateUpdated = e.Timers, e.At, e.DateUpdated
	case events.TimerOperated:
		if s.DateUpdated = e.DateUpdated; e.Action == events.TimerPostponed {
			s.Since = e.Since
		}
	case events.ConversationDatesSet:
		s.DateCreated, s.DateUpdated = e.DateCreated, e.DateUpdated
	case events.ConversationIndexesReserved:
		s.NextIndex = e.NextIndex
	case events.ConversationStateChanged:
		s.State, s.Since, s.DateUpdated = e.To, entered(e), e.DateUpdated
	case events.ConversationSucceeded:
		s.Successor = e.Successor
	case events.ConversationRemoved:
		s.Ended = true
	case events.WebhookAdded:
		s.Webhooks = put(s.Webhooks, e.WebhookSid, e.Webhook)
	case events.WebhookUpdated:
		s.Webhooks = put(s.Webhooks, e.WebhookSid, e.Webhook)
	case events.WebhookRemoved:
		s.Webhooks = drop(s.Webhooks, e.WebhookSid)
	case events.ReservationLost: // its only work is to move the revision
	default:
		return s.evolveParts(e)
	}
	return s
}

func (s State) evolveParts(e events.Event) State {
	switch e := e.(type) {
	case events.ParticipantAdded:
		return s.join(e)
	case events.ParticipantBindingChanged:
		return s.rebind(e)
	case events.ParticipantRemoved:
		return s.leave(e)
	case events.ParticipantAttributesChanged, events.ParticipantRoleChanged, events.ParticipantDatesSet,
		events.ReadHorizonMoved, events.NotificationLevelSet:
		return s.evolveParticipant(e)
	case events.MessageAdded:
		return s.post(e)
	case events.MessageRemoved:
		m := s.Messages[e.Message]
		s.Receipts -= len(m.Receipts)
		s.Messages = put(s.Messages, e.Message, Message{Index: m.Index, Removed: true})
		return s
	case events.DeliveryUpdated:
		return s.hear(e)
	default:
		return s.evolveMessage(e)
	}
}

func (s State) begin(e events.ConversationCreated) State {
	return State{
		Conversation: e.Conversation, Account: e.Account, Service: e.Service,
		FriendlyName: e.FriendlyName, UniqueName: e.UniqueName, Attributes: digest(e.Attributes),
		MessagingService: e.MessagingService, Timers: e.Timers, Email: e.Email,
		CreatedBy: e.CreatedBy, Predecessor: e.Predecessor, DateCreated: e.DateCreated, DateUpdated: e.DateUpdated,
		State: e.State, Since: e.At,
	}
}

// entered is the instant the timers count from after a change of state: the one
// a timer was due, so that a late tick does not delay the next timer.
func entered(e events.ConversationStateChanged) time.Time {
	if e.Reason == events.ReasonTimer {
		return e.Due
	}
	return e.At
}

func (s State) join(e events.ParticipantAdded) State {
	s.Joined++
	s.Bound += bound(e.Binding)
	s.Since = later(s.Since, e.At)
	s.CreatorJoined = s.CreatorJoined || e.Identity == s.CreatedBy
	s.Participants = put(s.Participants, e.Participant, Participant{
		Sid: e.Participant, Number: s.Joined, Identity: e.Identity, User: e.User, Binding: e.Binding,
		Role: e.Role, Attributes: digest(e.Attributes), LastRead: noHorizon,
		DateCreated: e.DateCreated, DateUpdated: e.DateUpdated,
	})
	if e.Identity != "" {
		s.Identities = put(s.Identities, e.Identity, e.Participant)
	}
	return s
}

func (s State) rebind(e events.ParticipantBindingChanged) State {
	p := s.Participants[e.Participant]
	s.Identities = drop(s.Identities, p.Identity)
	s.Bound += bound(e.Binding) - bound(p.Binding)
	s.CreatorJoined = s.CreatorJoined || e.Identity == s.CreatedBy
	p.Identity, p.User, p.Binding, p.DateUpdated = e.Identity, e.User, e.Binding, e.DateUpdated
	s.Participants = put(s.Participants, e.Participant, p)
	if e.Identity != "" {
		s.Identities = put(s.Identities, e.Identity, e.Participant)
	}
	return s
}

func (s State) leave(e events.ParticipantRemoved) State {
	p := s.Participants[e.Participant]
	s.Identities = drop(s.Identities, p.Identity)
	s.Bound -= bound(p.Binding)
	s.Participants = drop(s.Participants, e.Participant)
	s.Former = put(s.Former, e.Participant, Former{Number: p.Number, Address: p.Binding.Address})
	return s
}

func (s State) evolveParticipant(e events.Event) State {
	switch e := e.(type) {
	case events.ParticipantAttributesChanged:
		p := s.Participants[e.Participant]
		p.Attributes, p.DateUpdated = digest(e.Attributes), e.DateUpdated
		s.Participants = put(s.Participants, e.Participant, p)
	case events.ParticipantRoleChanged:
		p := s.Participants[e.Participant]
		p.Role, p.DateUpdated = e.Role, e.DateUpdated
		s.Participants = put(s.Participants, e.Participant, p)
	case events.ParticipantDatesSet:
		p := s.Participants[e.Participant]
		p.DateCreated, p.DateUpdated = e.DateCreated, e.DateUpdated
		s.Participants = put(s.Participants, e.Participant, p)
	case events.ReadHorizonMoved:
		p := s.Participants[e.Participant]
		p.LastRead, p.LastReadAt = e.Index, e.ReadAt
		s.Participants = put(s.Participants, e.Participant, p)
	case events.NotificationLevelSet:
		p := s.Participants[e.Participant]
		p.Level = e.Level
		s.Participants = put(s.Participants, e.Participant, p)
	}
	return s
}

func (s State) post(e events.MessageAdded) State {
	m := Message{
		Index: e.Index, Author: s.shared(e.Author, e.Participant), By: s.number(e.Participant),
		Media: len(e.Media) > 0 || e.Content != "",
		Body:  digest(e.Body), Attributes: digest(e.Attributes), Subject: digest(e.Subject),
		Created: e.DateCreated.UnixMicro(), Edited: e.DateUpdated.UnixMicro() - e.DateCreated.UnixMicro(),
	}
	if len(e.Recipients) > 0 {
		m.Receipts = make([]Receipt, len(e.Recipients))
		for i, sid := range e.Recipients {
			m.Receipts[i].To = s.number(sid)
		}
	}
	s.Messages = put(s.Messages, e.Message, m)
	for _, file := range e.Media {
		s.Media = put(s.Media, file.Media, e.Message)
	}
	s.Receipts += len(m.Receipts)
	s.NextIndex = e.Index + 1
	s.Since = later(s.Since, e.At)
	return s
}

// shared returns the author as the string the participant already holds, so
// that a thousand messages of one author share its bytes.
func (s State) shared(author, participant string) string {
	switch p := s.Participants[participant]; author {
	case systemAuthor:
		return systemAuthor
	case p.Identity:
		return p.Identity
	case p.Binding.Address:
		return p.Binding.Address
	}
	return author
}

func (s State) hear(e events.DeliveryUpdated) State {
	to := s.number(e.Participant)
	receipts := s.Messages[e.Message].Receipts
	for i := range receipts {
		if receipts[i].To == to {
			receipts[i].Status = statusOf(e.Status)
		}
	}
	return s
}

func (s State) evolveMessage(e events.Event) State {
	switch e := e.(type) {
	case events.MessageBodyEdited:
		m := s.Messages[e.Message]
		m.Body = digest(e.Body)
		m = m.updated(e.DateUpdated)
		s.Messages = put(s.Messages, e.Message, m)
	case events.MessageAttributesChanged:
		m := s.Messages[e.Message]
		m.Attributes = digest(e.Attributes)
		m = m.updated(e.DateUpdated)
		s.Messages = put(s.Messages, e.Message, m)
	case events.MessageAuthorChanged:
		m := s.Messages[e.Message]
		m.Author, m.By = e.Author, s.number(e.Participant)
		m = m.updated(e.DateUpdated)
		s.Messages = put(s.Messages, e.Message, m)
	case events.MessageSubjectChanged:
		m := s.Messages[e.Message]
		m.Subject = digest(e.Subject)
		m = m.updated(e.DateUpdated)
		s.Messages = put(s.Messages, e.Message, m)
	case events.MessageDatesSet:
		m := s.Messages[e.Message]
		m.Created = e.DateCreated.UnixMicro()
		m = m.updated(e.DateUpdated)
		s.Messages = put(s.Messages, e.Message, m)
	default:
		panic(fmt.Sprintf("conversation: event %s does not belong here", e.EventType()))
	}
	return s
}

func (m Message) updated(at time.Time) Message {
	m.Edited = at.UnixMicro() - m.Created
	return m
}

// put assigns in a map that may not be there yet.
func put[V any](m map[string]V, key string, v V) map[string]V {
	if m == nil {
		m = make(map[string]V)
	}
	m[key] = v
	return m
}

// drop deletes; an empty map is no map, as it is after a trip through JSON.
func drop[V any](m map[string]V, key string) map[string]V {
	delete(m, key)
	if len(m) == 0 {
		return nil
	}
	return m
}

// later keeps activity from pulling a timer back: a command that waited carries
// an instant before that of what overtook it.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
