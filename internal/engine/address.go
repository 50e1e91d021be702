package engine

import (
	"context"

	"github.com/parley-engine/parley/domain/address"
	"github.com/parley-engine/parley/domain/reservation"
	"github.com/parley-engine/parley/events"
)

func addressOperations() []operation {
	return []operation{
		on("IG", true, runCreateAddress),
		on("IG", false, func(ctx context.Context, e *Engine, r *request, c address.Update) (Outcome, error) {
			return e.onAddress(ctx, r, func(s address.State) (_ []events.Event, err error) {
				c.At = r.at
				if c.ServiceOwned, err = e.ownsGiven(ctx, s.Account, c.AutoCreation.Service); err != nil {
					return nil, err
				}
				return address.Decide(s, c)
			})
		}),
		on("IG", false, func(ctx context.Context, e *Engine, r *request, c address.Remove) (Outcome, error) {
			return e.onAddress(ctx, r, func(s address.State) ([]events.Event, error) {
				c.At = r.at
				return address.Decide(s, c)
			})
		}),
	}
}

func runCreateAddress(ctx context.Context, e *Engine, r *request, c address.Create) (_ Outcome, err error) {
	if err := e.accountExists(ctx, r); err != nil {
		return Outcome{}, err
	}
	r.Aggregate = sidFor(r, "IG", firstOf(r.Aggregate, c.Sid))
	c.Account, c.Sid = r.Account, r.Aggregate
	if c.ServiceOwned, err = e.ownsGiven(ctx, r.Account, c.AutoCreation.Service); err != nil {
		return Outcome{}, err
	}
	return e.securing(ctx, r, func() (Outcome, error) {
		return e.addresses.transact(ctx, r, r.Aggregate, decision[address.State]{
			claims: addressClaims,
			decide: func(s address.State) ([]events.Event, error) {
				c.At = r.at
				return address.Decide(s, c)
			},
		})
	})
}

func (e *Engine) onAddress(ctx context.Context, r *request, decide func(address.State) ([]events.Event, error)) (Outcome, error) {
	r.Service = ""
	return e.addresses.transact(ctx, r, r.Aggregate, decision[address.State]{
		decide: func(s address.State) ([]events.Event, error) {
			if err := e.ownedBy(r, s.Account, "", "address configuration"); err != nil {
				return nil, err
			}
			return decide(s)
		},
	})
}

func addressClaims(_ address.State, es []events.Event) []claim {
	var claims []claim
	for _, e := range es {
		if created, ok := e.(events.AddressConfigurationCreated); ok {
			claims = append(claims, claim{Kind: reservation.Address, Scope: created.Account, Value: created.Address, Ref: created.AddressConfiguration})
		}
	}
	return claims
}

// ownsGiven reports whether a service that was named belongs to the account.
func (e *Engine) ownsGiven(ctx context.Context, accountSid string, serviceSid *string) (bool, error) {
	if serviceSid == nil || *serviceSid == "" {
		return false, nil
	}
	return e.owns(ctx, accountSid, *serviceSid)
}
