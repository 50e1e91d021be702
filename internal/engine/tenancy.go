package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/role"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/domain/user"
	"github.com/parley-engine/parley/events"
)

// on builds an operation whose body is read into a C.
func on[C interface{ CommandType() string }](prefix string, creates bool, run func(ctx context.Context, e *Engine, r *request, c C) (Outcome, error)) operation {
	var zero C
	return operation{Name: zero.CommandType(), Fields: zero, prefix: prefix, creates: creates,
		run: func(ctx context.Context, e *Engine, r *request) (Outcome, error) {
			ownBusiness := prefix == "US" || prefix == "ME" && creates
			if r.Actor.Kind == events.ActorUser && !ownBusiness {
				return Outcome{}, domain.Refuse(domain.PermissionDenied, "permission_denied", "actor", 50107, "%s is for the account, and no right of a user's", zero.CommandType())
			}
			var c C
			if err := r.read(&c); err != nil {
				return Outcome{}, err
			}
			return run(ctx, e, r, c)
		},
	}
}

func tenancyOperations() []operation {
	return []operation{
		on("US", true, runCreateUser),
		on("US", false, runUpdateUser),
		on("US", false, runRemoveUser),
		on("RL", true, runCreateRole),
		on("RL", false, func(ctx context.Context, e *Engine, r *request, c role.ReplacePermissions) (Outcome, error) {
			c.At = r.at
			return e.onRole(ctx, r, func(s role.State) ([]events.Event, error) { return role.Decide(s, c) })
		}),
		on("RL", false, func(ctx context.Context, e *Engine, r *request, c role.Remove) (Outcome, error) {
			return e.onRole(ctx, r, func(s role.State) (_ []events.Event, err error) {
				c.At = r.at
				if c.InUse, err = e.roleInUse(ctx, s); err != nil {
					return nil, err
				}
				return role.Decide(s, c)
			})
		}),
		on("IS", true, runCreateService),
		on("IS", false, runConfigureService),
		on("IS", false, runRemoveService),
		on("AC", true, runCreateAccount),
		on("AC", false, runConfigureAccount),
		on("AC", false, runAddMessagingService),
		on("AC", false, func(ctx context.Context, e *Engine, r *request, c account.ConfigureWebhooks) (Outcome, error) {
			return e.onAccount(ctx, r, func(s account.State) ([]events.Event, error) {
				c.At = r.at
				return account.Decide(s, c)
			})
		}),
		on("IS", false, func(ctx context.Context, e *Engine, r *request, c service.ConfigureWebhooks) (Outcome, error) {
			return e.onService(ctx, r, func(s service.State) ([]events.Event, error) {
				c.At = r.at
				return service.Decide(s, c)
			})
		}),
		on("IS", false, func(ctx context.Context, e *Engine, r *request, c service.ConfigureNotifications) (Outcome, error) {
			return e.onService(ctx, r, func(s service.State) ([]events.Event, error) {
				c.At = r.at
				return service.Decide(s, c)
			})
		}),
	}
}

func runCreateUser(ctx context.Context, e *Engine, r *request, c user.Create) (Outcome, error) {
	c.Sid = sidFor(r, "US", firstOf(r.Aggregate, c.Sid))
	return e.createUser(ctx, r, c)
}

func (e *Engine) defaultUserRole(ctx context.Context, serviceSid string) (roleSid string, err error) {
	err = e.services.glance(ctx, serviceSid, func(s service.State) { roleSid = s.ServiceRole })
	return roleSid, err
}

// ownedBy refuses what belongs to another account or service as not found, and
// settles the two for the events' metadata.
func (e *Engine) ownedBy(r *request, accountSid, serviceSid, what string) error {
	wanted := firstOf(r.Account, e.options.DefaultAccount)
	if accountSid == "" || accountSid != wanted || (r.Service != "" && serviceSid != "" && r.Service != serviceSid) {
		return notFound(fmt.Sprintf("The requested %s was not found", what))
	}
	r.Account, r.Service = accountSid, serviceSid
	return nil
}

func runUpdateUser(ctx context.Context, e *Engine, r *request, c user.Update) (Outcome, error) {
	caller, err := e.callerOnUser(ctx, r)
	if err != nil {
		return Outcome{}, err
	}
	return e.onUser(ctx, r, r.Aggregate, func(s user.State) (_ []events.Event, err error) {
		if err = e.ownedBy(r, s.Account, s.Service, "user"); err != nil {
			return nil, err
		}
		c.Issue = user.Issue{At: r.at, Caller: caller}
		if c.Role != nil {
			if c.RoleType, err = e.roleType(ctx, s.Service, *c.Role); err != nil {
				return nil, err
			}
		}
		return user.Decide(s, c)
	})
}

// runRemoveUser takes the user's participants out after it, so that nothing is
// lost when the removal is refused. A crash in between leaves participants behind;
// the same command again, or another one, which finds no user, goes on.
func runRemoveUser(ctx context.Context, e *Engine, r *request, c user.Remove) (Outcome, error) {
	caller, err := e.callerOnUser(ctx, r)
	if err != nil {
		return Outcome{}, err
	}
	var identity string
	var gone bool
	outcome, err := e.onUser(ctx, r, r.Aggregate, func(s user.State) (_ []events.Event, err error) {
		if err = e.ownedBy(r, s.Account, s.Service, "user"); err != nil {
			return nil, err
		}
		c.Issue, gone = user.Issue{At: r.at, Caller: caller}, !s.Exists()
		return user.Decide(s, c)
	})
	if err != nil && !gone || e.options.Memberships == nil {
		return outcome, err
	}
	if err := e.users.glance(ctx, r.Aggregate, func(s user.State) { identity, r.Account, r.Service = s.Identity, s.Account, s.Service }); err != nil {
		return Outcome{}, err
	}
	if failed := e.removeMemberships(ctx, r, identity); failed != nil {
		return outcome, failed
	}
	return outcome, err
}

func (e *Engine) removeMemberships(ctx context.Context, r *request, identity string) error {
	places, err := e.options.Memberships(ctx, r.Service, identity)
	if err != nil {
		return unavailable("unavailable", "The user's conversations are not known yet; send the same command id again", err)
	}
	for _, m := range places {
		if m.User != r.Aggregate {
			continue // of a later user with the same identity
		}
		remove := conversation.RemoveParticipant{Participant: m.Participant}
		err := e.subordinate(ctx, r, "leave/"+m.Participant, m.Conversation, remove)
		var refusal *domain.Refusal
		if errors.As(err, &refusal) && refusal.Kind == domain.NotFound {
			continue // somebody else was faster
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// callerOnUser resolves who acts on a user before that user's lane is entered: two
// users who edit each other would wait for each other's lanes.
func (e *Engine) callerOnUser(ctx context.Context, r *request) (domain.Caller, error) {
	if r.Actor.Kind != events.ActorUser {
		return domain.Caller{Actor: r.Actor}, nil
	}
	at := *r
	if err := e.users.glance(ctx, r.Aggregate, func(s user.State) { at.Service = s.Service }); err != nil {
		return domain.Caller{}, err
	}
	return e.caller(ctx, &at)
}

func runCreateRole(ctx context.Context, e *Engine, r *request, c role.Create) (Outcome, error) {
	if err := e.place(ctx, r); err != nil {
		return Outcome{}, err
	}
	r.Aggregate = sidFor(r, "RL", firstOf(r.Aggregate, c.Sid))
	c.At, c.Account, c.Service, c.Sid = r.at, r.Account, r.Service, r.Aggregate
	c.Import = r.Actor.Kind == events.ActorImport
	return e.roles.transact(ctx, r, r.Aggregate, decision[role.State]{
		decide: func(s role.State) ([]events.Event, error) { return role.Decide(s, c) },
	})
}

func (e *Engine) onRole(ctx context.Context, r *request, decide func(role.State) ([]events.Event, error)) (Outcome, error) {
	return e.roles.transact(ctx, r, r.Aggregate, decision[role.State]{
		decide: func(s role.State) ([]events.Event, error) {
			if err := e.ownedBy(r, s.Account, s.Service, "role"); err != nil {
				return nil, err
			}
			return decide(s)
		},
	})
}

func runCreateService(ctx context.Context, e *Engine, r *request, c service.Create) (Outcome, error) {
	r.Account = firstOf(r.Account, e.options.DefaultAccount)
	var exists bool
	if err := e.accounts.glance(ctx, r.Account, func(s account.State) { exists = s.Exists() }); err != nil {
		return Outcome{}, err
	}
	if !exists {
		return Outcome{}, notFound("The requested account was not found")
	}
	c.Sid, c.Account = sidFor(r, "IS", firstOf(r.Aggregate, c.Sid)), r.Account
	c.Import = r.Actor.Kind == events.ActorImport
	return e.createService(ctx, r, c)
}

// createService makes a service after its four default roles, but for an import,
// which brings its own. A crash in between leaves roles nobody refers to; the same
// command again goes on.
func (e *Engine) createService(ctx context.Context, r *request, c service.Create) (Outcome, error) {
	if _, err := service.Decide(service.State{}, c); err != nil {
		return Outcome{}, err
	}
	r.Service = c.Sid
	there, err := e.serviceIsThere(ctx, c.Sid)
	if err != nil {
		return Outcome{}, err
	}
	if !there && !c.Import {
		if err := e.createDefaultRoles(ctx, r, &c); err != nil {
			return Outcome{}, err
		}
	}
	return e.services.transact(ctx, r, c.Sid, decision[service.State]{
		decide: func(s service.State) ([]events.Event, error) {
			c.At = r.at
			return service.Decide(s, c)
		},
	})
}

// serviceIsThere tells whether the service was ever created: a repeat must not
// make roles again whose own commands are long forgotten.
func (e *Engine) serviceIsThere(ctx context.Context, sid string) (there bool, err error) {
	err = e.services.glance(ctx, sid, func(s service.State) { there = s.Service != "" })
	return there, err
}

func (e *Engine) createDefaultRoles(ctx context.Context, r *request, c *service.Create) error {
	var sids [4]string
	for i, d := range role.Defaults() {
		sub := r.sub(fmt.Sprintf("role-%d", i), role.Create{}.CommandType(), "")
		sids[i] = sidFor(sub, "RL", "")
		create := role.Create{At: r.at, Account: r.Account, Service: c.Sid, Sid: sids[i], FriendlyName: d.Name, Type: d.Type, Permissions: d.Permissions}
		if _, err := e.roles.transact(ctx, sub, sids[i], decision[role.State]{
			decide: func(s role.State) ([]events.Event, error) { return role.Decide(s, create) },
		}); err != nil {
			return err
		}
	}
	c.Account, c.ServiceRole, c.CreatorRole, c.ConversationRole = r.Account, sids[1], sids[2], sids[3]
	return nil
}

func runConfigureService(ctx context.Context, e *Engine, r *request, c service.Configure) (Outcome, error) {
	c.At, c.RoleTypes = r.at, map[string]string{}
	for _, sid := range []*string{c.CreatorRole, c.ConversationRole, c.ServiceRole} {
		if sid == nil {
			continue
		}
		roleType, err := e.roleType(ctx, r.Aggregate, *sid)
		if err != nil {
			return Outcome{}, err
		}
		c.RoleTypes[*sid] = roleType
	}
	return e.onService(ctx, r, func(s service.State) ([]events.Event, error) { return service.Decide(s, c) })
}

func runRemoveService(ctx context.Context, e *Engine, r *request, c service.Remove) (Outcome, error) {
	return e.onService(ctx, r, func(s service.State) (_ []events.Event, err error) {
		c.At = r.at
		err = e.accounts.glance(ctx, s.Account, func(a account.State) { c.Default = a.DefaultService == s.Service })
		if err != nil {
			return nil, err
		}
		return service.Decide(s, c)
	})
}

func (e *Engine) roleInUse(ctx context.Context, s role.State) (used bool, err error) {
	err = e.services.glance(ctx, s.Service, func(sv service.State) {
		used = sv.Exists() && slices.Contains([]string{sv.CreatorRole, sv.ConversationRole, sv.ServiceRole}, s.Role)
	})
	if err != nil || used || e.options.RoleInUse == nil {
		return used, err
	}
	used, err = e.options.RoleInUse(ctx, s.Service, s.Role)
	if err != nil {
		err = unavailable("unavailable", "Who has the role is not known yet; try again", err)
	}
	return used, err
}

func (e *Engine) onService(ctx context.Context, r *request, decide func(service.State) ([]events.Event, error)) (Outcome, error) {
	return e.services.transact(ctx, r, r.Aggregate, decision[service.State]{
		decide: func(s service.State) ([]events.Event, error) {
			if err := e.ownedBy(r, s.Account, s.Service, "service"); err != nil {
				return nil, err
			}
			return decide(s)
		},
	})
}

// runCreateAccount makes an account after its default service, so that an
// account that exists is complete.
func runCreateAccount(ctx context.Context, e *Engine, r *request, c account.Create) (Outcome, error) {
	c.Account = sidFor(r, "AC", r.Aggregate)
	c.At, c.DefaultService = r.at, domain.SID("IS", r.ID.String()+"/default-service")
	if err := e.parentFacts(ctx, &c); err != nil {
		return Outcome{}, err
	}
	if _, err := account.Decide(account.State{}, c); err != nil {
		return Outcome{}, err
	}
	r.Account, r.Aggregate = c.Account, c.Account
	var exists bool
	if err := e.accounts.glance(ctx, c.Account, func(s account.State) { exists = s.Exists() }); err != nil {
		return Outcome{}, err
	}
	if !exists {
		sub := r.sub("service", service.Create{}.CommandType(), c.DefaultService)
		if _, err := e.createService(ctx, sub, service.Create{Account: c.Account, Sid: c.DefaultService, FriendlyName: "Default Service"}); err != nil {
			return Outcome{}, err
		}
	}
	return e.accounts.transact(ctx, r, c.Account, decision[account.State]{
		decide: func(s account.State) ([]events.Event, error) { return account.Decide(s, c) },
	})
}

func (e *Engine) parentFacts(ctx context.Context, c *account.Create) error {
	if c.Parent == "" {
		return nil
	}
	return e.accounts.glance(ctx, c.Parent, func(s account.State) { c.ParentExists, c.ParentIsSub = s.Exists(), s.Parent != "" })
}

func runConfigureAccount(ctx context.Context, e *Engine, r *request, c account.Configure) (Outcome, error) {
	c.At = r.at
	limits := e.options.Limits.WithDefaults()
	c.MinInactiveTimer, c.MinClosedTimer = limits.MinInactiveTimer, limits.MinClosedTimer
	if c.DefaultService != nil {
		var err error
		if c.ServiceOwned, err = e.owns(ctx, r.Aggregate, *c.DefaultService); err != nil {
			return Outcome{}, err
		}
	}
	return e.onAccount(ctx, r, func(s account.State) ([]events.Event, error) { return account.Decide(s, c) })
}

func runAddMessagingService(ctx context.Context, e *Engine, r *request, c account.AddMessagingService) (Outcome, error) {
	c.At, c.Sid = r.at, sidFor(r, "MG", c.Sid)
	outcome, err := e.onAccount(ctx, r, func(s account.State) ([]events.Event, error) { return account.Decide(s, c) })
	outcome.Sid = c.Sid
	return outcome, err
}

func (e *Engine) onAccount(ctx context.Context, r *request, decide func(account.State) ([]events.Event, error)) (Outcome, error) {
	r.Account, r.Service = firstOf(r.Account, r.Aggregate), ""
	if r.Account != r.Aggregate {
		return Outcome{}, notFound("The requested account was not found")
	}
	return e.accounts.transact(ctx, r, r.Aggregate, decision[account.State]{decide: decide})
}
