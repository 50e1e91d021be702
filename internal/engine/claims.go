package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parley-engine/parley/domain/address"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/media"
	"github.com/parley-engine/parley/domain/reservation"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/domain/user"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// claim is a value that must be unique across streams.
type claim = conversation.Claim

// claimsNeeded interrupts a transaction: these claims have to be secured first,
// outside the lane, for the stream as it was at the revision.
type claimsNeeded struct {
	stream   string
	revision store.Revision
	claims   []claim
}

func (n *claimsNeeded) Error() string { return n.stream + ": claims must be secured first" }

// maxSecureAttempts bounds how often a command goes back for its claims because
// its own stream moved on in between.
const maxSecureAttempts = 20

// secured passes when the request holds every claim for exactly this revision.
func (r *request) secured(stream string, at store.Revision, claims []claim) error {
	if len(claims) == 0 || (r.grant != nil && *r.grant == grant{at, keyOf(claims)}) {
		return nil
	}
	return &claimsNeeded{stream: stream, revision: at, claims: claims}
}

func keyOf(claims []claim) string {
	var b strings.Builder
	for _, c := range claims {
		fmt.Fprintf(&b, "%s %s|", reservation.ID(c.Kind, c.Scope, c.Value), c.Ref)
	}
	return b.String()
}

// securing runs a transaction and, when it needs claims, secures them and runs
// it again. The order is what makes it safe: the own stream's revision was read
// before the claims are made, and the append expects that revision. Whoever
// takes a claim away in between fences the own stream first, so the append
// conflicts and everything is looked at again. No lane is held while claims are
// made, so lanes cannot wait for each other in a circle; the keys of the claims
// are, so that local rivals do not fence each other in turns.
func (e *Engine) securing(ctx context.Context, r *request, run func() (Outcome, error)) (Outcome, error) {
	outcome, err := run()
	var needed *claimsNeeded
	if !errors.As(err, &needed) {
		return outcome, err
	}
	release, lockErr := e.lockClaims(ctx, needed.claims)
	if lockErr != nil {
		return Outcome{}, lockErr
	}
	defer release()
	for range maxSecureAttempts {
		for _, c := range needed.claims {
			if err := e.secure(ctx, r, needed.stream, c); err != nil {
				return Outcome{}, err
			}
		}
		r.grant = &grant{needed.revision, keyOf(needed.claims)}
		if outcome, err = run(); !errors.As(err, &needed) {
			return outcome, err
		}
	}
	return Outcome{}, unavailable("contention", "Others keep changing the same aggregate; try again", nil)
}

// lockClaims enters the claims' own lanes, in one order for everybody.
func (e *Engine) lockClaims(ctx context.Context, claims []claim) (release func(), err error) {
	keys := make([]string, 0, len(claims))
	for _, c := range claims {
		keys = append(keys, "claim "+reservation.ID(c.Kind, c.Scope, c.Value))
	}
	slices.Sort(keys)
	var leaves []func()
	release = func() {
		for _, leave := range slices.Backward(leaves) {
			leave()
		}
	}
	for _, key := range slices.Compact(keys) {
		leave, err := e.lanes.enter(ctx, key)
		if err != nil {
			release()
			return nil, err
		}
		leaves = append(leaves, leave)
	}
	return release, nil
}

// secure makes the stream the holder of the value, or refuses when another
// aggregate really holds it.
func (e *Engine) secure(ctx context.Context, r *request, stream string, c claim) error {
	if c.Kind == missingUser {
		return e.createMissingUser(ctx, r, c)
	}
	id := reservation.ID(c.Kind, c.Scope, c.Value)
	for range maxSecureAttempts {
		var seen reservation.State
		if err := e.reservations.view(ctx, id, func(s reservation.State) { seen = s }); err != nil {
			return err
		}
		// Being named already is not enough: a rival may have fenced this stream
		// before it was read, and be about to take over from the claim as he saw
		// it. So every claim is made anew, and he finds it changed.
		if seen.Holder != "" && seen.Holder != stream {
			if err := e.dispossess(ctx, r, stream, id, seen, c); err != nil {
				return err
			}
		}
		taken, err := e.claim(ctx, r, stream, id, seen, c)
		if err != nil || taken {
			return err
		}
	}
	return unavailable("contention", "Others keep claiming the same value; try again", nil)
}

// claim appends to the reservation, unless its holder is no longer the one seen.
func (e *Engine) claim(ctx context.Context, r *request, stream, id string, seen reservation.State, c claim) (taken bool, err error) {
	sub := r.sub("claim "+id+" "+c.Ref, "reservation.claim", id)
	// A take-over may be needed more than once for one command, so each claim
	// is its own command, told apart by how many there were before.
	sub.ID = events.NameID(fmt.Sprintf("%s %d", sub.ID, seen.Claims))
	_, err = e.reservations.transact(ctx, sub, id, decision[reservation.State]{
		decide: func(s reservation.State) ([]events.Event, error) {
			if taken = s == seen; !taken {
				return nil, nil
			}
			return reservation.Decide(s, reservation.Claim{Kind: c.Kind, Holder: stream, Ref: c.Ref, At: r.at})
		},
	})
	return taken, err
}

// dispossess asks the holder's stream whether it still holds the value. If so
// the claim is refused. If not, a fence goes into that stream: should the
// holder be between its claim and its own event, its pending append conflicts,
// is decided again, and finds the value gone.
func (e *Engine) dispossess(ctx context.Context, r *request, stream, reservationID string, seen reservation.State, c claim) error {
	theirs := c
	theirs.Ref = seen.Ref
	fence := events.ReservationLost{Reservation: events.Stream(events.CategoryReservation, reservationID), Taker: stream, At: r.at}
	category, holder, _ := events.SplitStream(seen.Holder)
	switch category {
	case events.CategoryConversation:
		return ask(ctx, e.conversations, r, holder, fence, func(s conversation.State) (bool, error) {
			attached := c.Kind == reservation.Media && c.Ref != c.Value && s.Attached(c.Value) // by another message, be it gone
			if attached || s.Holds(theirs) {
				swept, err := e.sweptAway(ctx, s.Service)
				if err == nil && !swept {
					err = conversation.Taken(c, holder)
				}
				return false, err
			}
			return s.State == events.StateClosed || s.Removed(), nil
		})
	case events.CategoryUser:
		return ask(ctx, e.users, r, holder, fence, func(s user.State) (bool, error) {
			if s.Exists() && s.Identity == c.Value {
				return false, user.Taken()
			}
			return s.Removed, nil
		})
	case events.CategoryAddress:
		return ask(ctx, e.addresses, r, holder, fence, func(s address.State) (bool, error) {
			if s.Exists() && s.Address == c.Value {
				return false, address.Taken()
			}
			return s.Removed, nil
		})
	case events.CategoryMedia: // the file itself: it is being removed
		return ask(ctx, e.media, r, holder, fence, func(s media.State) (bool, error) {
			if s.Removed {
				return true, media.NotFound(holder, "media")
			}
			return false, nil
		})
	default:
		return fmt.Errorf("reservation %s is held by %q, which can hold none", reservationID, seen.Holder)
	}
}

// sweptAway reports whether a service was removed: its conversations hold nothing any
// more, whenever they are cleared away. The log is asked, because another node may have
// removed it a moment ago.
func (e *Engine) sweptAway(ctx context.Context, sid string) (gone bool, err error) {
	err = e.services.view(ctx, sid, func(s service.State) { gone = !s.Exists() })
	return gone, err
}

// ask enters a holder's lane, lets it answer from its present state, and fences
// it unless it is final: an ended aggregate refuses what it had pending anyway.
func ask[S any](ctx context.Context, a *aggregates[S], r *request, id string, fence events.ReservationLost, answer func(S) (final bool, err error)) error {
	return a.visit(ctx, id, func(stream string, at folded[S]) (folded[S], error) {
		at, err := store.CatchUp(ctx, a.log, stream, at, a.fold)
		if err != nil {
			return at, err
		}
		after, _, err := store.Transact(context.WithoutCancel(ctx), a.log, stream, at, a.fold, func(at folded[S]) ([]store.Change, error) {
			final, err := answer(at.State.State)
			if err != nil || final {
				return nil, err
			}
			sub := r.sub(fmt.Sprintf("fence %s %d", stream, at.Revision), "reservation.fence", id)
			changes, err := sub.changes([]events.Event{fence})
			for i := range changes {
				changes[i].Proposed.Metadata.CommandID = events.ID{} // not a command of the holder
			}
			return changes, err
		})
		return after, err
	})
}

// holderOf returns the SID that holds a value now, empty when nobody does.
func (e *Engine) holderOf(ctx context.Context, kind, scope, value string) (string, error) {
	var ref string
	err := e.reservations.glance(ctx, reservation.ID(kind, scope, value), func(s reservation.State) { ref = s.Ref })
	return ref, err
}
