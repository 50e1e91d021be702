package engine

import (
	"context"
	"errors"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/reservation"
	"github.com/parley-engine/parley/domain/user"
	"github.com/parley-engine/parley/events"
)

// missingUser is the kind of claim that stands for "this identity needs a user
// first" (reference 3.1: a chat participant's user is made when missing). It
// goes the way of claims because the user has to be there before the
// participant, and only when the participant would be accepted.
const missingUser = "missing-user"

// autoUser is the SID of the user that a command makes on the fly for an identity.
func autoUser(r *request, identity string) string {
	return domain.SID("US", r.ID.String()+"/user/"+identity)
}

func missingUsers(r *request, s conversation.State, es []events.Event) []claim {
	var claims []claim
	service := s.Service
	need := func(identity, userSid string) {
		if userSid != "" && userSid == autoUser(r, identity) {
			claims = append(claims, claim{Kind: missingUser, Scope: service, Value: identity, Ref: userSid})
		}
	}
	for _, e := range es {
		switch e := e.(type) {
		case events.ConversationCreated:
			service = e.Service
		case events.ParticipantAdded:
			need(e.Identity, e.User)
		case events.ParticipantBindingChanged:
			need(e.Identity, e.User)
		}
	}
	return claims
}

// createMissingUser makes the user. That somebody else has just made one for the
// identity is as good: the participant is decided again and finds it.
func (e *Engine) createMissingUser(ctx context.Context, r *request, c claim) error {
	sub := r.sub("user/"+c.Value, user.Create{}.CommandType(), c.Ref)
	sub.Service, sub.Actor = c.Scope, events.Actor{Kind: events.ActorSystem}
	_, err := e.createUser(ctx, sub, user.Create{Sid: c.Ref, Identity: c.Value})
	var refusal *domain.Refusal
	if errors.As(err, &refusal) && refusal.Code == user.Taken().Code {
		return nil
	}
	return err
}

// createUser makes a user in the request's service.
func (e *Engine) createUser(ctx context.Context, r *request, c user.Create) (Outcome, error) {
	if err := e.place(ctx, r); err != nil {
		return Outcome{}, err
	}
	caller, err := e.caller(ctx, r)
	if err != nil {
		return Outcome{}, err
	}
	c.Issue = user.Issue{At: r.at, Caller: caller}
	c.Account, c.Service = r.Account, r.Service
	if c.RoleType, err = e.roleType(ctx, r.Service, c.Role); err != nil {
		return Outcome{}, err
	}
	if c.DefaultRole, err = e.defaultUserRole(ctx, r.Service); err != nil {
		return Outcome{}, err
	}
	return e.onUser(ctx, r, c.Sid, func(s user.State) ([]events.Event, error) { return user.Decide(s, c) })
}

func (e *Engine) onUser(ctx context.Context, r *request, id string, decide func(user.State) ([]events.Event, error)) (Outcome, error) {
	return e.securing(ctx, r, func() (Outcome, error) {
		return e.users.transact(ctx, r, id, decision[user.State]{decide: decide, claims: identityClaims})
	})
}

func identityClaims(_ user.State, es []events.Event) []claim {
	var claims []claim
	for _, e := range es {
		if created, ok := e.(events.UserCreated); ok {
			claims = append(claims, claim{Kind: reservation.Identity, Scope: created.Service, Value: created.Identity, Ref: created.User})
		}
	}
	return claims
}
