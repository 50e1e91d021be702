package conversation

import (
	"fmt"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// Decide answers what a command does to a conversation. Commands are passed by
// value. It returns the events to append in order, nil when there is nothing to
// do, or a *domain.Refusal. It never changes the state.
//
// Checks come in one order everywhere: does the caller see the conversation, may he do
// this, does the state permit it, is the command itself right. That there is nothing to
// do comes after all of them.
func Decide(s State, c Command) ([]events.Event, error) {
	switch c := c.(type) {
	case Create:
		return create(s, c)
	case CreateWithParticipants:
		return createWithParticipants(s, c)
	}
	if err := s.mayAsk(c); err != nil {
		return nil, err
	}
	return decide(s, c)
}

// decide is Decide for a conversation that the caller sees.
func decide(s State, c Command) ([]events.Event, error) {
	switch c := c.(type) {
	case Update:
		return update(s, c)
	case Remove:
		return remove(s, c)
	case AdvanceState:
		return advanceState(s, c)
	case LinkSuccessor:
		return linkSuccessor(s, c)
	case FireTimer:
		return fireTimer(s, c)
	case PostponeTimer:
		return postponeTimer(s, c)
	case CancelTimers:
		return cancelTimers(s, c)
	case AddParticipant:
		return addParticipant(s, c)
	case UpdateParticipant:
		return updateParticipant(s, c)
	case RemoveParticipant:
		return removeParticipant(s, c)
	case AddMessage:
		return addMessage(s, c)
	case EditMessage:
		return editMessage(s, c)
	case RemoveMessage:
		return removeMessage(s, c)
	case RecordDelivery:
		return recordDelivery(s, c)
	case MoveReadHorizon:
		return moveReadHorizon(s, c)
	case SetNotificationLevel:
		return setNotificationLevel(s, c)
	case UpdateUserConversation:
		return updateUserConversation(s, c)
	case AddWebhook:
		return addWebhook(s, c)
	case UpdateWebhook:
		return updateWebhook(s, c)
	case RemoveWebhook:
		return removeWebhook(s, c)
	}
	panic(fmt.Sprintf("conversation: command %T is not known", c))
}

// scope says in which states something is permitted (reference 2.3):
//
//	                                      initializing  active  inactive  closed
//	update, set state                     50386         yes     yes       50377
//	add or update a participant           50386         yes     yes [1]   50377
//	remove a participant                  50386         yes     yes       yes [2]
//	add a message                         50386         yes     yes [1]   50377
//	edit a message                        50386         yes     yes       50377
//	remove a message                      50386         yes     yes       yes [2]
//	move a read horizon, mute             50386         yes     yes       yes [3]
//	add or update a webhook               50386         yes     yes       50377
//	remove a webhook                      50386         yes     yes       yes [2]
//	record a delivery                     yes           yes     yes       yes [4]
//	a timer comes up                      nothing       yes     yes       nothing
//	link a successor                      refused       refused refused   yes
//	remove the conversation               yes           yes     yes       yes
//
// [1] makes the conversation active. [2] An archive takes nothing new, but what
// must not be kept can be taken out of it. [3] An archive can be read, and how
// far somebody has read is his own. [4] Reports of channels come late; what they
// tell is true whatever became of the conversation since.
type scope int

const (
	whileOpen    scope = iota // active and inactive
	alsoClosed                // and closed
	inEveryState              // and initializing
)

// found refuses what is asked of a conversation that is not there.
func (s State) found() error {
	if !s.Exists() || s.Removed() {
		return domain.Refuse(domain.NotFound, "conversation_not_found", "", 20404, "The conversation was not found")
	}
	return nil
}

// permits refuses what the present state does not permit.
func (s State) permits(in scope) error {
	switch {
	case s.State == events.StateClosed && in < alsoClosed:
		return domain.Refuse(domain.FailedPrecondition, "conversation_closed", "", 50377,
			"Conversation %s is closed", s.Conversation)
	case s.State == events.StateInitializing && in < inEveryState:
		return domain.Refuse(domain.FailedPrecondition, "conversation_initializing", "", 50386,
			"Conversation %s is not ready yet", s.Conversation)
	}
	return nil
}

// wake is the change of state that a message or a new participant causes in an
// inactive conversation; it follows the event that causes it.
func (s State) wake(by Issue) []events.Event {
	if s.State != events.StateInactive {
		return nil
	}
	return []events.Event{events.ConversationStateChanged{
		From: s.State, To: events.StateActive, Reason: events.ReasonEvent, DateUpdated: by.At, At: by.At,
	}}
}
