package engine

import (
	"context"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/media"
	"github.com/parley-engine/parley/domain/reservation"
	"github.com/parley-engine/parley/events"
)

func mediaOperations() []operation {
	return []operation{
		on("ME", true, runCreateMedia),
		on("ME", false, runRemoveMedia),
	}
}

func runCreateMedia(ctx context.Context, e *Engine, r *request, c media.Create) (Outcome, error) {
	if err := e.place(ctx, r); err != nil {
		return Outcome{}, err
	}
	r.Aggregate = sidFor(r, "ME", firstOf(r.Aggregate, c.Sid))
	c.Account, c.Service, c.Sid = r.Account, r.Service, r.Aggregate
	var err error
	if c.Caller, err = e.caller(ctx, r); err != nil {
		return Outcome{}, err
	}
	return e.media.transact(ctx, r, r.Aggregate, decision[media.State]{
		decide: func(s media.State) ([]events.Event, error) {
			c.At = r.at
			return media.Decide(s, c)
		},
	})
}

// runRemoveMedia claims the file for itself first, as a message that attaches it
// would: of the two only one can have it.
func runRemoveMedia(ctx context.Context, e *Engine, r *request, c media.Remove) (Outcome, error) {
	return e.securing(ctx, r, func() (Outcome, error) {
		return e.media.transact(ctx, r, r.Aggregate, decision[media.State]{
			decide: func(s media.State) ([]events.Event, error) {
				if err := e.ownedBy(r, s.Account, s.Service, "media"); err != nil {
					return nil, err
				}
				c.At = r.at
				return media.Decide(s, c)
			},
			claims: func(s media.State, _ []events.Event) []claim {
				return []claim{{Kind: reservation.Media, Scope: s.Service, Value: s.Media, Ref: s.Media}}
			},
		})
	})
}

// uploads looks up the media of a message in the conversation's lane. What somebody
// else uploaded is not there for a user.
func (e *Engine) uploads(ctx context.Context, s conversation.State, caller domain.Caller, named []events.Media) (map[string]conversation.Upload, error) {
	if len(named) == 0 {
		return nil, nil
	}
	found := make(map[string]conversation.Upload, len(named))
	for _, m := range named {
		if !domain.IsSID("ME", m.Media) {
			continue // for the domain to refuse
		}
		err := e.media.glance(ctx, m.Media, func(f media.State) {
			switch {
			case f.Media == "": // never uploaded
			case !f.Exists() || f.Account != s.Account || f.Service != s.Service,
				caller.Identity != "" && f.Author != caller.Identity:
				found[m.Media] = conversation.Upload{}
			default:
				found[m.Media] = conversation.Upload{File: &events.Media{Media: f.Media, ContentType: f.ContentType, Filename: f.Filename, Size: f.Size}}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}
