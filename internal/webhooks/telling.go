package webhooks

import (
	"github.com/parley-engine/parley/events"
)

// The names of post-events (reference 8.2).
const (
	conversationAdded        = "onConversationAdded"
	conversationUpdated      = "onConversationUpdated"
	conversationRemoved      = "onConversationRemoved"
	conversationStateUpdated = "onConversationStateUpdated"
	messageAdded             = "onMessageAdded"
	messageUpdated           = "onMessageUpdated"
	messageRemoved           = "onMessageRemoved"
	participantAdded         = "onParticipantAdded"
	participantUpdated       = "onParticipantUpdated"
	participantRemoved       = "onParticipantRemoved"
	deliveryUpdated          = "onDeliveryUpdated"
	userAdded                = "onUserAdded"
	userUpdated              = "onUserUpdated"
)

// telling is one post-event: what is told, and of whom.
type telling struct {
	name    string
	subject string // MB…, IM… or DY…; empty: the stream's own aggregate
}

// tellings says what an event of the log is to those who listen. Most are nothing or
// one thing. A state that the API set is a change of the conversation as well, as its
// other fields are; one that a timer or a message moved is not. That the present state
// was set again is nothing.
func tellings(event events.Event) []telling {
	switch e := event.(type) {
	case events.ConversationCreated:
		return []telling{{conversationAdded, ""}}
	case events.ConversationFriendlyNameChanged, events.ConversationUniqueNameChanged, events.ConversationAttributesChanged,
		events.ConversationMessagingServiceAttached, events.ConversationEmailChanged, events.ConversationTimersConfigured,
		events.ConversationDatesSet:
		return []telling{{conversationUpdated, ""}}
	case events.ConversationStateChanged:
		switch {
		case e.From == e.To:
			return nil
		case e.Reason == events.ReasonAPI:
			return []telling{{conversationStateUpdated, ""}, {conversationUpdated, ""}}
		}
		return []telling{{conversationStateUpdated, ""}}
	case events.ConversationRemoved:
		return []telling{{conversationRemoved, ""}}
	case events.DeliveryUpdated:
		return []telling{{deliveryUpdated, e.Receipt}}
	case events.UserCreated:
		return []telling{{userAdded, ""}}
	case events.UserFriendlyNameChanged, events.UserAttributesChanged, events.UserRoleChanged:
		return []telling{{userUpdated, ""}}
	}
	if name, message := ofMessage(event); name != "" {
		return []telling{{name, message}}
	}
	if name, participant := ofParticipant(event); name != "" {
		return []telling{{name, participant}}
	}
	return nil
}

func ofMessage(event events.Event) (name, message string) {
	switch e := event.(type) {
	case events.MessageAdded:
		return messageAdded, e.Message
	case events.MessageBodyEdited:
		return messageUpdated, e.Message
	case events.MessageAttributesChanged:
		return messageUpdated, e.Message
	case events.MessageAuthorChanged:
		return messageUpdated, e.Message
	case events.MessageSubjectChanged:
		return messageUpdated, e.Message
	case events.MessageDatesSet:
		return messageUpdated, e.Message
	case events.MessageRemoved:
		return messageRemoved, e.Message
	}
	return "", ""
}

// ofParticipant leaves the notification level out: it is the user's own affair.
func ofParticipant(event events.Event) (name, participant string) {
	switch e := event.(type) {
	case events.ParticipantAdded:
		return participantAdded, e.Participant
	case events.ParticipantAttributesChanged:
		return participantUpdated, e.Participant
	case events.ParticipantRoleChanged:
		return participantUpdated, e.Participant
	case events.ParticipantBindingChanged:
		return participantUpdated, e.Participant
	case events.ParticipantDatesSet:
		return participantUpdated, e.Participant
	case events.ReadHorizonMoved:
		return participantUpdated, e.Participant
	case events.ParticipantRemoved:
		return participantRemoved, e.Participant
	}
	return "", ""
}

// fires reports whether those who listen hear of what somebody did: what the API and
// Parley itself do only where the request says so, an import never (reference 8.1).
func fires(m events.Metadata) bool {
	switch m.Actor.Kind {
	case events.ActorImport:
		return false
	case events.ActorUser, events.ActorParticipant, events.ActorChannel, events.ActorTimer:
		return true
	}
	return m.Webhooks
}

// happened is an event of the log and what else its command did after it.
type happened struct {
	events.Recorded
	event events.Event
	later []events.Event // of the same command, in the same stream
}

// told returns what is told at this event. What a later event of the same command tells
// again, of the same subject, is told there: a command's events are in the log together
// or not at all, so the later one is sure to come, and shows what all of them made.
func (h *happened) told() (list []telling) {
	for _, t := range tellings(h.event) {
		if !h.again(t) {
			list = append(list, t)
		}
	}
	return list
}

func (h *happened) again(t telling) bool {
	for _, later := range h.later {
		for _, other := range tellings(later) {
			if other == t {
				return true
			}
		}
	}
	return false
}
