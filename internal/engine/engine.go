// Package engine is the front desk: the only place that joins domain and store.
// It puts time, ids and looked-up facts into commands, serialises commands per
// aggregate, keeps folded states at hand, recognises repeated commands and
// makes values unique across streams.
//
// An Engine is safe for concurrent use. It starts no goroutines.
package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/domain/address"
	"github.com/parley-engine/parley/domain/apikey"
	"github.com/parley-engine/parley/domain/binding"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/credential"
	"github.com/parley-engine/parley/domain/media"
	"github.com/parley-engine/parley/domain/reservation"
	"github.com/parley-engine/parley/domain/role"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/domain/user"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Options are settings; the zero value of each field works.
type Options struct {
	// DefaultAccount is the account of commands that name none.
	DefaultAccount string
	// Limits of conversations; zero fields mean Twilio's values.
	Limits conversation.Limits
	// GroupMMS allows native group MMS (reference 3.7).
	GroupMMS bool
	// OpenConversations counts an identity's open conversations in a service,
	// from a read model. Nil: not limited.
	OpenConversations func(ctx context.Context, service, identity string) (int, error)
	// Memberships lists where an identity takes part, closed conversations
	// included, as of the log's head. Nil: removing a user leaves its participants.
	Memberships func(ctx context.Context, service, identity string) ([]Membership, error)
	// RoleInUse reports whether a user or participant of the service has the role,
	// as of the log's head. Nil: never.
	RoleInUse func(ctx context.Context, service, role string) (bool, error)
	// Vault keeps secrets from being readable in the log. Nil: commands that bring
	// secrets are refused.
	Vault Vault
	// Snapshots shorten the folding of long streams. Nil: none.
	Snapshots Snapshots
	// CacheEntries bounds the folded entries (participants, messages, receipts,
	// …) kept in memory. Zero: DefaultCacheEntries.
	CacheEntries int
	// MaxInFlight bounds the commands worked on at once; one more is told to
	// come back. Zero: DefaultMaxInFlight.
	MaxInFlight int
	// Node is this process's name among those that share the log; it is stored
	// with each event. Give one only if others write to the log, and no two the
	// same; then call Heard with every event. Empty: the log is this engine's
	// alone.
	Node string
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
	// Observe, if not nil, hears of every command: its type, "ok" or the
	// failure's code, and how long it took. It is called concurrently.
	Observe func(commandType, result string, took time.Duration)
	// Wrote, if not nil, hears what every command wrote where, before its outcome
	// is returned. It is called concurrently.
	Wrote func(Written)
}

// Written is the place of a command's last event.
type Written struct {
	Account, Service string // Service is empty for what belongs to the account itself
	Aggregate        string
	Position         events.Position
}

// Membership is a participant with an identity.
type Membership struct {
	Conversation, Participant string
	User                      string // US… the participant was added with
}

// Defaults of Options.
const (
	DefaultCacheEntries = 1 << 20
	DefaultMaxInFlight  = 8192
)

// Engine executes commands.
type Engine struct {
	options    Options
	operations map[string]operation
	hear       map[string]func(stream string, revision store.Revision) // by category
	lanes      *lanes
	inFlight   chan struct{}

	conversations *aggregates[conversation.State]
	services      *aggregates[service.State]
	users         *aggregates[user.State]
	roles         *aggregates[role.State]
	accounts      *aggregates[account.State]
	apiKeys       *aggregates[apikey.State]
	credentials   *aggregates[credential.State]
	bindings      *aggregates[binding.State]
	addresses     *aggregates[address.State]
	media         *aggregates[media.State]
	reservations  *aggregates[reservation.State]
}

// New returns an engine on a log. Nil options are fine.
func New(log store.StreamLog, options *Options) *Engine {
	o := Options{}
	if options != nil {
		o = *options
	}
	if o.CacheEntries == 0 {
		o.CacheEntries = DefaultCacheEntries
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = DefaultMaxInFlight
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	e := &Engine{options: o, operations: map[string]operation{}, hear: map[string]func(string, store.Revision){}, lanes: newLanes(), inFlight: make(chan struct{}, o.MaxInFlight)}
	e.conversations = newAggregates(e, log, events.CategoryConversation, conversation.Evolve, conversation.State.Size)
	e.conversations.snapshots, e.conversations.schema = o.Snapshots, schemaOf[conversation.State]()
	e.services = newAggregates(e, log, events.CategoryService, service.Evolve, one[service.State])
	e.users = newAggregates(e, log, events.CategoryUser, user.Evolve, one[user.State])
	e.roles = newAggregates(e, log, events.CategoryRole, role.Evolve, one[role.State])
	e.accounts = newAggregates(e, log, events.CategoryAccount, account.Evolve, one[account.State])
	e.apiKeys = newAggregates(e, log, events.CategoryAPIKey, apikey.Evolve, one[apikey.State])
	e.credentials = newAggregates(e, log, events.CategoryCredential, credential.Evolve, one[credential.State])
	e.bindings = newAggregates(e, log, events.CategoryBinding, binding.Evolve, one[binding.State])
	e.addresses = newAggregates(e, log, events.CategoryAddress, address.Evolve, one[address.State])
	e.media = newAggregates(e, log, events.CategoryMedia, media.Evolve, one[media.State])
	e.reservations = newAggregates(e, log, events.CategoryReservation, reservation.Evolve, one[reservation.State])
	for _, op := range operations() {
		e.operations[op.Name] = op
	}
	return e
}

func one[S any](S) int { return 1 }

func newAggregates[S any](e *Engine, log store.StreamLog, category string, evolve func(S, events.Event) S, size func(S) int) *aggregates[S] {
	a := &aggregates[S]{
		category: category, evolve: evolve, size: size, log: log, lanes: e.lanes,
		cache: newCache[S](e.options.CacheEntries), shared: e.options.Node != "",
	}
	e.hear[category] = a.cache.hear
	return a
}

// Heard tells the engine of an event in the log, in the log's order. What others
// wrote makes its own memory old; it looks at the log again when it needs the
// aggregate. Until it has heard, it may still answer from what it knew of
// accounts, services, roles and users; what it writes is always checked by the
// log.
func (e *Engine) Heard(recorded events.Recorded) {
	if recorded.Metadata.Node == e.options.Node {
		return
	}
	category, _, _ := events.SplitStream(recorded.Stream)
	if hear := e.hear[category]; hear != nil {
		hear(recorded.Stream, store.Revision(recorded.Revision))
	}
}

// Execute does one command and returns its outcome; the error is always a
// *Failure. When it returns an outcome, everything the command did is durable.
// A cancelled context stops the waiting, not a write that has begun; after
// that, and after any retryable failure, the same command id finds out.
func (e *Engine) Execute(ctx context.Context, c Command) (Outcome, error) {
	begun := e.options.Now()
	outcome, err := e.admit(ctx, c, false)
	result := "ok"
	failure := AsFailure(err)
	if failure != nil {
		result = failure.Code
	}
	if e.options.Observe != nil {
		e.options.Observe(e.known(c.Type), result, e.options.Now().Sub(begun))
	}
	if failure != nil {
		return Outcome{}, failure
	}
	return outcome, nil
}

// Permits reports whether who asks for a command may do so, without doing anything: nil,
// or the *Failure that Execute would refuse the user with. It is for those who ask others
// about a command before it is done. What else may be wrong with it Execute says; a
// retryable or internal failure here means that the permission is not known.
func (e *Engine) Permits(ctx context.Context, c Command) error {
	_, err := e.admit(ctx, c, true)
	failure := AsFailure(err)
	if failure == nil || failure.Kind != string(domain.PermissionDenied) && failure.Kind != KindInternal && !failure.Retryable {
		return nil
	}
	return failure
}

// errPermitted ends the rehearsal of a command that its actor may ask for.
var errPermitted = &Failure{Kind: string(domain.FailedPrecondition), Code: "rehearsed", Message: "The command was not to be done"}

// known keeps foreign text out of metrics.
func (e *Engine) known(commandType string) string {
	if _, ok := e.operations[commandType]; !ok {
		return "unknown"
	}
	return commandType
}

// admit checks what can be checked without looking at any aggregate, and runs the
// command, or its rehearsal.
func (e *Engine) admit(ctx context.Context, c Command, rehearsal bool) (Outcome, error) {
	select {
	case e.inFlight <- struct{}{}:
		defer func() { <-e.inFlight }()
	default:
		return Outcome{}, unavailable("overloaded", "Too many commands are in flight; try again", nil)
	}
	op, ok := e.operations[c.Type]
	if !ok {
		return Outcome{}, invalid("unknown_command", "command", fmt.Sprintf("%.64q is not a command", c.Type))
	}
	if len(c.Body) > MaxBodyBytes {
		return Outcome{}, tooLarge()
	}
	if c.ID.IsZero() {
		id, err := uuid.NewV7()
		if err != nil {
			return Outcome{}, fmt.Errorf("command id: %w", err)
		}
		c.ID = events.ID(id)
	}
	if c.Aggregate == "" && !op.creates && op.prefix == "AC" {
		c.Aggregate = firstOf(c.Account, e.options.DefaultAccount)
	}
	if err := checkEnvelope(c, op); err != nil {
		return Outcome{}, err
	}
	if c.Actor.Kind == "" {
		c.Actor.Kind = events.ActorAPI
	}
	return e.do(ctx, op, &request{Command: c, node: e.options.Node, now: e.options.Now, at: e.options.Now().UTC(), rehearsal: rehearsal})
}

// do runs an admitted command and tells who listens where it wrote.
func (e *Engine) do(ctx context.Context, op operation, r *request) (Outcome, error) {
	outcome, err := op.run(ctx, e, r)
	if err == nil && !r.rehearsal && e.options.Wrote != nil {
		e.options.Wrote(Written{Account: r.Account, Service: r.Service, Aggregate: outcome.Aggregate, Position: outcome.Position})
	}
	return outcome, err
}

// subordinate does a command that another one, which is done, needs done. That
// one was in time, so its deadline is met.
func (e *Engine) subordinate(ctx context.Context, r *request, name, aggregate string, fields interface{ CommandType() string }) error {
	sub := r.sub(name, fields.CommandType(), aggregate)
	sub.Actor, sub.Fields, sub.Deadline = events.Actor{Kind: events.ActorSystem}, fields, time.Time{}
	_, err := e.do(ctx, e.operations[sub.Type], sub)
	return err
}

// Drain waits until no command is in flight and lets none in any more.
func (e *Engine) Drain(ctx context.Context) error {
	for range cap(e.inFlight) {
		select {
		case e.inFlight <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("drain the engine: %w", ctx.Err())
		}
	}
	return nil
}
