// Package collector clears away what nobody can reach any more: uploads that no
// message has, files of removed messages, everything in removed services, and
// bytes that no file stands for.
//
// It follows the read models and acts through commands, which the domain decides:
// what was attached in the meantime stays. Doing it twice, late, or not to the
// end, does no harm.
package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/binding"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/media"
	"github.com/parley-engine/parley/domain/role"
	"github.com/parley-engine/parley/domain/user"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
)

// How long things may be of no use before they go.
const (
	// UnattachedLife is how long an upload waits for its message (reference 4.4).
	UnattachedLife = 5 * time.Minute
	// blobGrace is how long bytes may be there before the event that says so.
	blobGrace = 15 * time.Minute
	// every is how often it looks.
	every = time.Minute
	// batch is how many rows it looks at in one go.
	batch = 200
)

// Config is what a collector works with; Sweep may be nil, the rest is required.
type Config struct {
	Models  *projections.Queries
	Execute func(context.Context, engine.Command) (engine.Outcome, error)
	// CatchUp returns when the read models have reached the log's head.
	CatchUp func(context.Context) error
	// Sweep removes bytes that are older than the instant and that nobody holds.
	Sweep  func(ctx context.Context, olderThan time.Time, held func(context.Context, string) (bool, error)) error
	Logger *slog.Logger
}

// Collector clears away. Make one with New.
type Collector struct{ Config }

// New returns a collector that does nothing until it is run.
func New(c Config) *Collector {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Collector{c}
}

// Run collects at once and then every minute, until the context ends; then it
// returns nil. What goes wrong is logged and tried again the next time.
func (c *Collector) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := c.Collect(ctx, time.Now()); err != nil && ctx.Err() == nil {
			c.Logger.Warn("not everything was cleared away", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Collect clears away once, as of an instant.
func (c *Collector) Collect(ctx context.Context, now time.Time) error {
	return errors.Join(c.services(ctx), c.media(ctx, now), c.bytes(ctx, now))
}

func (c *Collector) media(ctx context.Context, now time.Time) error {
	return each(func(p projections.Page) (projections.List[projections.Media], error) {
		return c.Models.MediaToCollect(ctx, now.Add(-UnattachedLife), p)
	}, func(m projections.Media) error {
		return c.remove(ctx, m.AccountSid, m.ChatServiceSid, m.Sid, media.Remove{})
	})
}

func (c *Collector) bytes(ctx context.Context, now time.Time) error {
	if c.Sweep == nil {
		return nil
	}
	caughtUp := false
	return c.Sweep(ctx, now.Add(-blobGrace), func(ctx context.Context, sha256 string) (bool, error) {
		if !caughtUp {
			if err := c.CatchUp(ctx); err != nil {
				return true, err
			}
			caughtUp = true
		}
		return c.Models.MediaHeld(ctx, sha256)
	})
}

func (c *Collector) services(ctx context.Context) error {
	return each(func(p projections.Page) (projections.List[projections.Service], error) {
		return c.Models.RemovedServices(ctx, p)
	}, func(s projections.Service) error { return c.contents(ctx, s) })
}

// contents removes what is in a removed service: roles last, for they may not be
// in use.
func (c *Collector) contents(ctx context.Context, s projections.Service) error {
	return errors.Join(
		each(func(p projections.Page) (projections.List[projections.Conversation], error) {
			return c.Models.Conversations(ctx, projections.ConversationFilter{Service: s.Sid, Ascending: true}, p)
		}, func(r projections.Conversation) error {
			return c.remove(ctx, s.AccountSid, s.Sid, r.Sid, conversation.Remove{})
		}),
		each(func(p projections.Page) (projections.List[projections.User], error) {
			return c.Models.Users(ctx, s.Sid, p)
		}, func(r projections.User) error { return c.remove(ctx, s.AccountSid, s.Sid, r.Sid, user.Remove{}) }),
		each(func(p projections.Page) (projections.List[projections.PushBinding], error) {
			return c.Models.PushBindings(ctx, projections.PushBindingFilter{Service: s.Sid}, p)
		}, func(r projections.PushBinding) error {
			return c.remove(ctx, s.AccountSid, s.Sid, r.Sid, binding.Remove{})
		}),
		each(func(p projections.Page) (projections.List[projections.Media], error) {
			return c.Models.MediaOfService(ctx, s.Sid, p)
		}, func(r projections.Media) error { return c.remove(ctx, s.AccountSid, s.Sid, r.Sid, media.Remove{}) }),
		each(func(p projections.Page) (projections.List[projections.Role], error) {
			return c.Models.Roles(ctx, s.Sid, p)
		}, func(r projections.Role) error { return c.remove(ctx, s.AccountSid, s.Sid, r.Sid, role.Remove{}) }),
	)
}

// remove sends a removal. That somebody else was faster, or has a use for it
// again, is fine.
func (c *Collector) remove(ctx context.Context, account, service, sid string, command interface{ CommandType() string }) error {
	_, err := c.Execute(ctx, engine.Command{
		ID: events.NameID("collect " + sid), Type: command.CommandType(), Aggregate: sid, Account: account, Service: service,
		Actor: events.Actor{Kind: events.ActorSystem},
	})
	var failure *engine.Failure
	if errors.As(err, &failure) {
		switch domain.Kind(failure.Kind) {
		case domain.NotFound, domain.AlreadyExists:
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", sid, err)
	}
	return nil
}

// each walks a list, page by page, to its end.
func each[R any](list func(projections.Page) (projections.List[R], error), do func(R) error) error {
	page := projections.Page{Limit: batch}
	var failures []error
	for {
		found, err := list(page)
		if err != nil {
			return errors.Join(append(failures, err)...)
		}
		for _, item := range found.Items {
			if err := do(item); err != nil {
				failures = append(failures, err)
			}
		}
		if !found.More {
			return errors.Join(failures...)
		}
		page.After = found.Last
	}
}
