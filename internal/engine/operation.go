package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

// operation is one command the engine knows.
type operation struct {
	Name    string
	Fields  any // the zero value of its fields, for those who describe the contract
	creates bool
	prefix  string // of the aggregate's id
	run     func(ctx context.Context, e *Engine, r *request) (Outcome, error)
}

// CommandType describes a command for contracts: its name and the zero value of
// the struct its body is read into.
type CommandType struct {
	Name    string
	Fields  any
	Prefix  string // of the aggregate's SID
	Creates bool   // the aggregate may be left out
}

// CommandTypes lists every command the engine executes, in a fixed order.
func CommandTypes() []CommandType {
	var types []CommandType
	for _, op := range operations() {
		types = append(types, CommandType{Name: op.Name, Fields: op.Fields, Prefix: op.prefix, Creates: op.creates})
	}
	return types
}

func operations() []operation {
	return slices.Concat(conversationOperations(), tenancyOperations(), accessOperations(), pushOperations(), addressOperations(), mediaOperations())
}

// onConversation builds the operation of one command on an existing
// conversation. fill puts the engine's fields into the command; it runs in the
// conversation's lane, so it may enter only lanes that enter no others: roles,
// services, accounts, users.
func onConversation[C conversation.Command](fill func(ctx context.Context, e *Engine, r *request, s conversation.State, c *C, issue conversation.Issue) error) operation {
	var zero C
	return operation{Name: zero.CommandType(), Fields: zero, prefix: "CH",
		run: func(ctx context.Context, e *Engine, r *request) (Outcome, error) {
			var command C
			if err := r.read(&command); err != nil {
				return Outcome{}, err
			}
			return e.onConversation(ctx, r, r.Aggregate, func(s conversation.State) ([]events.Event, error) {
				if err := e.belongs(ctx, r, s); err != nil {
					return nil, err
				}
				issue, err := e.issue(ctx, r, s)
				if err != nil {
					return nil, err
				}
				c := command
				if err := fill(ctx, e, r, s, &c, issue); err != nil {
					return nil, err
				}
				return conversation.Decide(s, c)
			})
		},
	}
}

func (e *Engine) onConversation(ctx context.Context, r *request, id string, decide func(conversation.State) ([]events.Event, error)) (Outcome, error) {
	return e.securing(ctx, r, func() (Outcome, error) {
		return e.conversations.transact(ctx, r, id, decision[conversation.State]{
			decide: decide,
			claims: func(before conversation.State, es []events.Event) []claim {
				return append(conversation.Claims(before, es), missingUsers(r, before, es)...)
			},
			made: func(_ string, es []events.Event) (string, *int64) { return conversation.OutcomeOf(es) },
		})
	})
}

// belongs refuses a conversation of another account or service as if it did not
// exist, and settles the two for the events' metadata.
//
// A removed service takes its conversations with it, whenever they are cleared
// away; those who do that, and timers, still find them.
func (e *Engine) belongs(ctx context.Context, r *request, s conversation.State) error {
	wanted := firstOf(r.Account, e.options.DefaultAccount)
	if !s.Exists() || s.Account != wanted || (r.Service != "" && r.Service != s.Service) {
		return e.unseen(ctx, r)
	}
	r.Account, r.Service = s.Account, s.Service
	if r.Actor.Kind == events.ActorSystem || r.Actor.Kind == events.ActorTimer {
		return nil
	}
	owned, err := e.owns(ctx, s.Account, s.Service)
	if err == nil && !owned {
		return e.unseen(ctx, r)
	}
	return err
}

// unseen refuses what is asked of a conversation that is not there for the caller, as
// the conversation itself would.
func (e *Engine) unseen(ctx context.Context, r *request) error {
	caller, err := e.caller(ctx, r)
	if err == nil {
		err = conversation.State{}.MayRead(caller)
	}
	var refusal *domain.Refusal
	if errors.As(err, &refusal) && refusal.Kind == domain.NotFound {
		return notFound("The requested conversation was not found")
	}
	return err
}

// issue puts together what every command on a conversation is given.
func (e *Engine) issue(ctx context.Context, r *request, s conversation.State) (conversation.Issue, error) {
	caller, err := e.caller(ctx, r)
	if err != nil {
		return conversation.Issue{}, err
	}
	if caller.Identity != "" {
		if p, ok := s.Participant(caller.Identity); ok {
			if caller.ConversationPermissions, err = e.permissions(ctx, p.Role); err != nil {
				return conversation.Issue{}, err
			}
		}
	}
	return conversation.Issue{At: r.at, Caller: caller, Limits: e.options.Limits}, nil
}

func conversationOperations() []operation {
	return []operation{
		createConversation(),
		createWithParticipants(),
		onConversation(func(ctx context.Context, e *Engine, _ *request, s conversation.State, c *conversation.Update, i conversation.Issue) (err error) {
			c.Issue = i
			if c.MessagingService != nil {
				c.MessagingServices, err = e.messagingServices(ctx, s.Account)
			}
			return err
		}),
		onConversation(func(_ context.Context, _ *Engine, _ *request, _ conversation.State, c *conversation.Remove, i conversation.Issue) error {
			c.Issue = i
			return nil
		}),
		onConversation(addParticipant),
		onConversation(updateParticipant),
		onConversation(func(_ context.Context, _ *Engine, _ *request, _ conversation.State, c *conversation.RemoveParticipant, i conversation.Issue) error {
			c.Issue = i
			return nil
		}),
		onConversation(func(ctx context.Context, e *Engine, r *request, s conversation.State, c *conversation.AddMessage, i conversation.Issue) (err error) {
			c.Issue, c.Sid = i, sidFor(r, "IM", c.Sid)
			c.Uploaded, err = e.uploads(ctx, s, i.Caller, c.Media)
			return err
		}),
		onConversation(func(_ context.Context, _ *Engine, _ *request, _ conversation.State, c *conversation.EditMessage, i conversation.Issue) error {
			c.Issue = i
			return nil
		}),
		onConversation(func(_ context.Context, _ *Engine, _ *request, _ conversation.State, c *conversation.RemoveMessage, i conversation.Issue) error {
			c.Issue = i
			return nil
		}),
		onConversation(func(_ context.Context, _ *Engine, _ *request, _ conversation.State, c *conversation.RecordDelivery, i conversation.Issue) error {
			c.Issue = i
			return nil
		}),
		onConversation(func(_ context.Context, _ *Engine, _ *request, _ conversation.State, c *conversation.MoveReadHorizon, i conversation.Issue) error {
			c.Issue = i
			return nil
		}),
		onConversation(func(_ context.Context, _ *Engine, _ *request, _ conversation.State, c *conversation.SetNotificationLevel, i conversation.Issue) error {
			c.Issue = i
			return nil
		}),
		onConversation(func(_ context.Context, _ *Engine, _ *request, _ conversation.State, c *conversation.UpdateUserConversation, i conversation.Issue) error {
			c.Issue = i
			return nil
		}),
		onConversation(func(_ context.Context, _ *Engine, _ *request, _ conversation.State, c *conversation.AdvanceState, i conversation.Issue) error {
			c.Issue = i
			return nil
		}),
		onConversation(func(_ context.Context, _ *Engine, _ *request, _ conversation.State, c *conversation.LinkSuccessor, i conversation.Issue) error {
			c.Issue = i
			return nil
		}),
		onConversation(func(_ context.Context, _ *Engine, _ *request, _ conversation.State, c *conversation.FireTimer, i conversation.Issue) error {
			c.Issue = i
			return nil
		}),
		onConversation(func(_ context.Context, _ *Engine, _ *request, _ conversation.State, c *conversation.PostponeTimer, i conversation.Issue) error {
			c.Issue = i
			return nil
		}),
		onConversation(func(_ context.Context, _ *Engine, _ *request, _ conversation.State, c *conversation.CancelTimers, i conversation.Issue) error {
			c.Issue = i
			return nil
		}),
		onConversation(func(_ context.Context, _ *Engine, r *request, _ conversation.State, c *conversation.AddWebhook, i conversation.Issue) error {
			c.Issue, c.Sid = i, sidFor(r, "WH", c.Sid)
			return nil
		}),
		onConversation(func(_ context.Context, _ *Engine, _ *request, _ conversation.State, c *conversation.UpdateWebhook, i conversation.Issue) error {
			c.Issue = i
			return nil
		}),
		onConversation(func(_ context.Context, _ *Engine, _ *request, _ conversation.State, c *conversation.RemoveWebhook, i conversation.Issue) error {
			c.Issue = i
			return nil
		}),
	}
}

// sidFor is the SID a command makes: the given one, or one derived from the
// command's id, so that a repeat makes the same.
func sidFor(r *request, prefix, given string) string {
	if given != "" {
		return given
	}
	return domain.SID(prefix, r.ID.String())
}
