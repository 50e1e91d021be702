package engine

import (
	"context"
	"fmt"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

// createWithParticipants builds the operation that makes a conversation and the
// people in it in one append.
func createWithParticipants() operation {
	return operation{Name: conversation.CreateWithParticipants{}.CommandType(), Fields: conversation.CreateWithParticipants{}, prefix: "CH", creates: true,
		run: func(ctx context.Context, e *Engine, r *request) (Outcome, error) {
			var c conversation.CreateWithParticipants
			if err := r.read(&c); err != nil {
				return Outcome{}, err
			}
			id := sidFor(r, "CH", firstOf(r.Aggregate, c.Conversation.Sid))
			if c.Conversation.Sid != "" && c.Conversation.Sid != id {
				return Outcome{}, invalid("sid_mismatch", "conversation.sid", "sid and the aggregate named by the command differ")
			}
			c.Conversation.Sid = id
			outcome, err := e.onConversation(ctx, r, id, func(s conversation.State) ([]events.Event, error) {
				if err := e.fillTogether(ctx, r, &c); err != nil {
					return nil, err
				}
				return conversation.Decide(s, c)
			})
			return outcome, conversation.TogetherRefusal(err)
		},
	}
}

// fillTogether runs in the new conversation's lane. The facts about its
// participants are looked up for what the conversation is going to be.
func (e *Engine) fillTogether(ctx context.Context, r *request, c *conversation.CreateWithParticipants) error {
	if err := e.fillCreate(ctx, r, &c.Conversation); err != nil {
		return err
	}
	begun := conversation.State{
		Account: r.Account, Service: r.Service,
		MessagingService: firstOf(c.Conversation.MessagingService, c.Conversation.DefaultMessagingService),
	}
	if len(c.Participants) > conversation.MaxTogether {
		return nil // for the domain to refuse
	}
	for i := range c.Participants {
		p := &c.Participants[i]
		if p.Sid == "" {
			p.Sid = sidFor(r.sub(fmt.Sprintf("participant/%d", i), "", ""), "MB", "")
		}
		p.Issue = c.Conversation.Issue
		var err error
		if p.ParticipantFacts, err = e.participantFacts(ctx, r, begun, p.Identity, p.Role); err != nil {
			return err
		}
	}
	return nil
}
