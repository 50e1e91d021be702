package engine

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/parley-engine/parley/domain/binding"
	"github.com/parley-engine/parley/domain/credential"
	"github.com/parley-engine/parley/events"
)

func pushOperations() []operation {
	return []operation{
		on("CR", true, runCreateCredential),
		on("CR", false, func(ctx context.Context, e *Engine, r *request, c credential.Update) (Outcome, error) {
			return e.onCredential(ctx, r, func(s credential.State) (_ []events.Event, err error) {
				c.At = r.at
				if c.Sealed, err = e.resealed(s, c.Secrets); err != nil {
					return nil, err
				}
				return credential.Decide(s, c)
			})
		}),
		on("CR", false, func(ctx context.Context, e *Engine, r *request, c credential.Remove) (Outcome, error) {
			return e.onCredential(ctx, r, func(s credential.State) ([]events.Event, error) {
				c.At = r.at
				return credential.Decide(s, c)
			})
		}),
		on("BS", true, runCreateBinding),
		on("BS", false, func(ctx context.Context, e *Engine, r *request, c binding.Remove) (Outcome, error) {
			return e.bindings.transact(ctx, r, r.Aggregate, decision[binding.State]{
				decide: func(s binding.State) ([]events.Event, error) {
					if err := e.ownedBy(r, s.Account, s.Service, "binding"); err != nil {
						return nil, err
					}
					c.At = r.at
					return binding.Decide(s, c)
				},
			})
		}),
	}
}

func runCreateCredential(ctx context.Context, e *Engine, r *request, c credential.Create) (_ Outcome, err error) {
	if err := e.accountExists(ctx, r); err != nil {
		return Outcome{}, err
	}
	r.Aggregate = sidFor(r, "CR", firstOf(r.Aggregate, c.Sid))
	c.Account, c.Sid = r.Account, r.Aggregate
	if c.Sealed, err = e.resealed(credential.State{}, c.Secrets); err != nil {
		return Outcome{}, err
	}
	return e.credentials.transact(ctx, r, r.Aggregate, decision[credential.State]{
		decide: func(s credential.State) ([]events.Event, error) {
			c.At = r.at
			return credential.Decide(s, c)
		},
	})
}

func (e *Engine) onCredential(ctx context.Context, r *request, decide func(credential.State) ([]events.Event, error)) (Outcome, error) {
	r.Service = ""
	return e.credentials.transact(ctx, r, r.Aggregate, decision[credential.State]{
		decide: func(s credential.State) ([]events.Event, error) {
			if err := e.ownedBy(r, s.Account, "", "credential"); err != nil {
				return nil, err
			}
			return decide(s)
		},
	})
}

// resealed returns the credential's secrets, with those replaced that are given,
// encrypted; what it had when none are.
func (e *Engine) resealed(s credential.State, given credential.Secrets) (string, error) {
	if given == (credential.Secrets{}) {
		return s.Sealed, nil
	}
	var have credential.Secrets
	if s.Sealed != "" && e.options.Vault != nil {
		plain, err := e.options.Vault.Unseal(s.Sealed)
		if err != nil {
			return "", fmt.Errorf("secrets of %s: %w", s.Credential, err)
		}
		if err := json.Unmarshal(plain, &have); err != nil {
			return "", fmt.Errorf("secrets of %s: %w", s.Credential, err)
		}
	}
	plain, err := json.Marshal(have.Merge(given)) //nolint:gosec // it is sealed right away
	if err != nil {
		return "", err
	}
	return e.seal(plain)
}

func runCreateBinding(ctx context.Context, e *Engine, r *request, c binding.Create) (Outcome, error) {
	if err := e.place(ctx, r); err != nil {
		return Outcome{}, err
	}
	c.Account, c.Service = r.Account, r.Service
	c.Sid = binding.Sid(r.Service, c.Identity, c.Type, c.Endpoint)
	if r.Aggregate != "" && r.Aggregate != c.Sid {
		return Outcome{}, invalid("sid_mismatch", "aggregate", "The SID of a binding follows from identity, type and endpoint; leave it out")
	}
	if c.Credential != "" {
		if err := e.credentials.glance(ctx, c.Credential, func(s credential.State) {
			c.CredentialExists = s.Exists() && s.Account == r.Account
		}); err != nil {
			return Outcome{}, err
		}
	}
	return e.bindings.transact(ctx, r, c.Sid, decision[binding.State]{
		decide: func(s binding.State) ([]events.Event, error) {
			c.At = r.at
			return binding.Decide(s, c)
		},
	})
}
