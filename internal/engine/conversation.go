package engine

import (
	"context"
	"slices"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/reservation"
	"github.com/parley-engine/parley/domain/role"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/domain/user"
	"github.com/parley-engine/parley/events"
)

func createConversation() operation {
	return operation{Name: conversation.Create{}.CommandType(), Fields: conversation.Create{}, prefix: "CH", creates: true,
		run: func(ctx context.Context, e *Engine, r *request) (Outcome, error) {
			var c conversation.Create
			if err := r.read(&c); err != nil {
				return Outcome{}, err
			}
			id := sidFor(r, "CH", firstOf(r.Aggregate, c.Sid))
			if c.Sid != "" && c.Sid != id {
				return Outcome{}, invalid("sid_mismatch", "sid", "sid and the aggregate named by the command differ")
			}
			c.Sid = id
			return e.onConversation(ctx, r, id, func(s conversation.State) ([]events.Event, error) {
				if err := e.fillCreate(ctx, r, &c); err != nil {
					return nil, err
				}
				return conversation.Decide(s, c)
			})
		},
	}
}

// fillCreate runs in the new conversation's lane, after it is known that the
// command was not done before.
func (e *Engine) fillCreate(ctx context.Context, r *request, c *conversation.Create) error {
	if err := e.place(ctx, r); err != nil {
		return err
	}
	caller, err := e.caller(ctx, r)
	if err != nil {
		return err
	}
	c.Issue = conversation.Issue{At: r.at, Caller: caller, Limits: e.options.Limits}
	c.Account, c.Service = r.Account, r.Service
	return e.accounts.glance(ctx, r.Account, func(s account.State) {
		c.DefaultMessagingService, c.DefaultTimers, c.MessagingServices = s.DefaultMessagingService, s.DefaultTimers, s.Knows()
	})
}

// place settles account and service of a command that creates something: the
// defaults where none are named, and refusals as "not found" where they are not
// the account's.
func (e *Engine) place(ctx context.Context, r *request) error {
	r.Account = firstOf(r.Account, e.options.DefaultAccount)
	var defaultService string
	var exists bool
	if r.Account != "" {
		err := e.accounts.glance(ctx, r.Account, func(s account.State) { exists, defaultService = s.Exists(), s.DefaultService })
		if err != nil {
			return err
		}
	}
	if !exists {
		return notFound("The requested account was not found")
	}
	r.Service = firstOf(r.Service, defaultService)
	owned, err := e.owns(ctx, r.Account, r.Service)
	if err == nil && !owned {
		return notFound("The requested service was not found")
	}
	return err
}

func (e *Engine) owns(ctx context.Context, accountSid, serviceSid string) (owned bool, err error) {
	err = e.services.glance(ctx, serviceSid, func(s service.State) { owned = s.Exists() && s.Account == accountSid })
	return owned, err
}

// caller resolves who acts: a user's service role gives it permissions.
func (e *Engine) caller(ctx context.Context, r *request) (domain.Caller, error) {
	caller := domain.Caller{Actor: r.Actor}
	if r.Actor.Kind != events.ActorUser {
		return caller, nil
	}
	caller.Identity = r.Actor.ID
	sid, err := e.holderOf(ctx, reservation.Identity, r.Service, r.Actor.ID)
	if err != nil || sid == "" {
		return caller, err
	}
	var roleSid string
	if err := e.users.glance(ctx, sid, func(s user.State) {
		if s.Exists() && s.Identity == r.Actor.ID {
			roleSid = s.Role
		}
	}); err != nil {
		return caller, err
	}
	caller.ServicePermissions, err = e.permissions(ctx, roleSid)
	return caller, err
}

func (e *Engine) permissions(ctx context.Context, roleSid string) (permissions []string, err error) {
	if roleSid == "" {
		return nil, nil
	}
	err = e.roles.glance(ctx, roleSid, func(s role.State) {
		if s.Exists() {
			permissions = slices.Clone(s.Permissions)
		}
	})
	return permissions, err
}

// roleType returns the type of a role of the service, empty when it has none
// of that name.
func (e *Engine) roleType(ctx context.Context, serviceSid, roleSid string) (roleType string, err error) {
	if roleSid == "" {
		return "", nil
	}
	err = e.roles.glance(ctx, roleSid, func(s role.State) {
		if s.Exists() && s.Service == serviceSid {
			roleType = s.Type
		}
	})
	return roleType, err
}

func (e *Engine) messagingServices(ctx context.Context, accountSid string) (known map[string]bool, err error) {
	err = e.accounts.glance(ctx, accountSid, func(s account.State) { known = s.Knows() })
	return known, err
}

func addParticipant(ctx context.Context, e *Engine, r *request, s conversation.State, c *conversation.AddParticipant, i conversation.Issue) (err error) {
	c.Issue, c.Sid = i, sidFor(r, "MB", c.Sid)
	c.ParticipantFacts, err = e.participantFacts(ctx, r, s, c.Identity, c.Role)
	return err
}

func updateParticipant(ctx context.Context, e *Engine, r *request, s conversation.State, c *conversation.UpdateParticipant, i conversation.Issue) (err error) {
	var identity, roleSid string
	if c.Identity != nil {
		identity = *c.Identity
	}
	if c.Role != nil {
		roleSid = *c.Role
	}
	c.Issue = i
	c.ParticipantFacts, err = e.participantFacts(ctx, r, s, identity, roleSid)
	return err
}

// participantFacts looks up what the domain needs to judge a participant. It
// runs in the conversation's lane.
func (e *Engine) participantFacts(ctx context.Context, r *request, s conversation.State, identity, roleSid string) (f conversation.ParticipantFacts, err error) {
	f.GroupMMS = e.options.GroupMMS
	if f.RoleType, err = e.roleType(ctx, s.Service, roleSid); err != nil {
		return f, err
	}
	if err = e.services.glance(ctx, s.Service, func(sv service.State) {
		f.DefaultRole, f.CreatorRole = sv.ConversationRole, sv.CreatorRole
	}); err != nil {
		return f, err
	}
	if err = e.accounts.glance(ctx, s.Account, func(a account.State) {
		f.Senders = slices.Clone(a.MessagingServices[s.MessagingService].Senders)
	}); err != nil || identity == "" {
		return f, err
	}
	if e.options.OpenConversations != nil {
		if f.OpenConversations, err = e.options.OpenConversations(ctx, s.Service, identity); err != nil {
			return f, err
		}
	}
	f.User, err = e.userOf(ctx, s.Service, identity)
	if f.User == "" {
		f.User = autoUser(r, identity)
	}
	return f, err
}

// userOf returns the user that has an identity in a service, empty when none.
func (e *Engine) userOf(ctx context.Context, serviceSid, identity string) (string, error) {
	sid, err := e.holderOf(ctx, reservation.Identity, serviceSid, identity)
	if err != nil || sid == "" {
		return "", err
	}
	var exists bool
	err = e.users.glance(ctx, sid, func(s user.State) { exists = s.Exists() && s.Identity == identity })
	if !exists {
		sid = ""
	}
	return sid, err
}

// Advance is what timers fire: it moves the conversation if a timer is really
// due now, and answers when the next one will be. ok is false when no timer is
// running. A conversation that is not there has no timers. The instant that was
// noted is not looked at: the conversation knows better.
//
// Where others write to the log as well, the conversation is looked at as the log has it
// now: nothing orders what this node heard of it and why it is asked about, and an entry
// that is answered on an old state is lost, or late.
func (e *Engine) Advance(ctx context.Context, sid string, _ time.Time) (next time.Time, ok bool, err error) {
	if !domain.IsSID("CH", sid) {
		return time.Time{}, false, nil
	}
	var accountSid string
	look := func(s conversation.State) {
		accountSid = s.Account
		next, _, ok = s.NextDue()
	}
	now := e.conversations.glance
	if e.conversations.shared {
		now = e.conversations.view
	}
	if err := now(ctx, sid, look); err != nil {
		return time.Time{}, false, AsFailure(err)
	}
	if !ok || next.After(e.options.Now()) {
		return next, ok, nil
	}
	command := Command{
		ID:   events.NameID("advance " + sid + " " + next.UTC().Format(time.RFC3339Nano)),
		Type: conversation.AdvanceState{}.CommandType(), Aggregate: sid, Account: accountSid,
		Actor: events.Actor{Kind: events.ActorTimer}, Body: []byte(`{"due":"` + next.UTC().Format(time.RFC3339Nano) + `"}`),
	}
	if _, err := e.Execute(ctx, command); err != nil {
		return next, true, err
	}
	if err := now(ctx, sid, look); err != nil {
		return time.Time{}, false, AsFailure(err)
	}
	return next, ok, nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
