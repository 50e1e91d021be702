package webhooks

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/parley-engine/parley/domain/user"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/internal/reactor/past"
	"github.com/parley-engine/parley/store"
)

// ofUser tells what happened to a user. Only accounts and services listen.
func (h *Hooks) ofUser(ctx context.Context, it *happened, config events.WebhookConfiguration) (jobs []reactor.Job, err error) {
	_, sid, _ := events.SplitStream(it.Stream)
	u, created, updated, err := h.userAt(ctx, it.Recorded)
	if err != nil {
		return nil, err
	}
	for _, t := range it.told() {
		targets := h.configured(it.Metadata, config, t.name)
		parameters := form{
			"AccountSid": it.Metadata.Account, "EventType": t.name, "ChatServiceSid": u.Service,
			"Source": source(it.Metadata.Actor, nil, ""), "Sequence": strconv.FormatUint(it.Revision, 10),
		}
		parameters.maybe("ClientIdentity", identity(it.Metadata.Actor, nil))
		parameters.user(u)
		parameters.date("DateCreated", created)
		if t.name == userUpdated {
			parameters.date("DateUpdated", updated)
			parameters["isOnline"], parameters["isNotifiable"] = "false", "false" // nobody is known to be
		}
		made, err := jobsFor(it, sid, t.name, "", targets, parameters)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, made...)
	}
	return jobs, nil
}

// userAt returns a user as an event left it. Users have few events.
func (h *Hooks) userAt(ctx context.Context, upto events.Recorded) (u user.State, created, updated time.Time, err error) {
	for r, err := range h.c.Log.ReadStream(ctx, upto.Stream, 0, store.Forwards) {
		if err != nil {
			return u, created, updated, fmt.Errorf("read %s: %w", upto.Stream, err)
		}
		if r.Revision > upto.Revision {
			break
		}
		event, err := userEvent(r)
		if err != nil {
			return u, created, updated, fmt.Errorf("%w: %s revision %d: %w", past.ErrUnreadable, r.Stream, r.Revision, err)
		}
		u = user.Evolve(u, event)
		if _, fence := event.(events.ReservationLost); !fence {
			updated = r.OccurredAt()
		}
		if r.Revision == 0 {
			created = updated
		}
	}
	return u, created, updated, nil
}

func userEvent(r events.Recorded) (events.Event, error) {
	event, err := events.Vocabulary().Decode(r.Type, r.Data)
	if err == nil && !strings.HasPrefix(r.Type, events.CategoryUser+".") && r.Type != (events.ReservationLost{}).EventType() {
		err = fmt.Errorf("%s is no event of a user", r.Type)
	}
	return event, err
}
