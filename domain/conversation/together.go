package conversation

import (
	"errors"
	"fmt"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// MaxTogether is how many people a conversation can begin with.
const MaxTogether = 10

// createWithParticipants decides one thing after the other, each on what the
// former ones make of the state. There is no moment at which somebody could see
// half of it, so the conversation is never initializing.
func createWithParticipants(s State, c CreateWithParticipants) ([]events.Event, error) {
	if err := serverOnly(c.Conversation.Caller, "", "create a conversation with participants"); err != nil {
		return nil, err
	}
	if len(c.Participants) > MaxTogether {
		return nil, invalid("too_many_participants", "participants", 50426, "A conversation begins with at most %d participants", MaxTogether)
	}
	es, err := create(s, c.Conversation)
	if err != nil {
		return nil, err
	}
	s = Evolve(s, es[0])
	for i, p := range c.Participants {
		added, err := addParticipant(s, p)
		if err != nil {
			return nil, TogetherRefusal(inParticipant(i, err))
		}
		for _, e := range added {
			if _, woken := e.(events.ConversationStateChanged); woken {
				continue // it begins in the state that was asked for
			}
			s, es = Evolve(s, e), append(es, e)
		}
	}
	return es, nil
}

// inParticipant says which of the participants a refusal is about.
func inParticipant(i int, err error) error {
	var r *domain.Refusal
	if !errors.As(err, &r) {
		return err
	}
	named := *r
	named.Field = fmt.Sprintf("participants[%d]", i)
	if r.Field != "" {
		named.Field += "." + r.Field
	}
	return &named
}

// TogetherRefusal gives a taken address pair the code it has when a conversation
// begins with participants (50425 for 50416).
func TogetherRefusal(err error) error {
	var r *domain.Refusal
	if !errors.As(err, &r) || r.Twilio != 50416 {
		return err
	}
	taken := *r
	taken.Twilio = 50425
	return &taken
}
