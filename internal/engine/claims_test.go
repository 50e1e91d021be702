package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

const from, proxy = "+15550100", "+15550199"

// withMessaging gives the account a Messaging Service for new conversations.
func (d *desk) withMessaging() *desk {
	mg := d.must("account.add-messaging-service", account, fields{"friendly_name": "numbers"}).Sid
	d.must("account.configure", account, fields{"default_messaging_service": mg})
	return d
}

// retrying does what every caller does with a retryable failure: the same
// command again.
func retrying(ctx context.Context, e *engine.Engine, c engine.Command) (engine.Outcome, error) {
	c.ID = events.NameID(c.Aggregate + string(c.Body))
	for {
		outcome, err := e.Execute(ctx, c)
		var failure *engine.Failure
		if !errors.As(err, &failure) || !failure.Retryable {
			return outcome, err
		}
	}
}

// rival is a log that lets somebody in before the first append to a stream.
type rival struct {
	store.Log
	prefix string
	before func()
	once   sync.Once
}

func (h *rival) Append(ctx context.Context, stream string, expected store.Revision, batch []events.Proposed) (store.Appended, error) {
	if h.before != nil && strings.HasPrefix(stream, h.prefix) {
		h.once.Do(h.before)
	}
	return h.Log.Append(ctx, stream, expected, batch)
}

func TestUniqueNamesAreUniquePerServiceEvenAfterClosing(t *testing.T) {
	d := openDesk(t)
	ch := d.must("conversation.create", "", fields{"unique_name": "n"}).Sid
	again := command(t, "conversation.create", "", fields{"unique_name": "n"})
	_, err := d.Execute(t.Context(), again)
	require.ErrorContains(t, err, "Conversation with provided unique name already exists")
	d.must("conversation.update", ch, fields{"state": "closed"})
	_, err = d.Execute(t.Context(), again)
	require.ErrorContains(t, err, "Conversation with provided unique name already exists")

	other := d.must("service.create", "", fields{"friendly_name": "other"}).Sid
	elsewhere := command(t, "conversation.create", "", fields{"unique_name": "n"})
	elsewhere.Service = other
	_, err = d.Execute(t.Context(), elsewhere)
	require.NoError(t, err)

	d.must("conversation.remove", ch, fields{})
	d.must("conversation.create", "", fields{"unique_name": "n"})
}

func TestAnAddressPairIsInOneOpenConversation(t *testing.T) {
	d := openDesk(t).withMessaging()
	first := d.must("conversation.create", "", fields{}).Sid
	second := d.must("conversation.create", "", fields{}).Sid
	pair := fields{"address": from, "proxy_address": proxy}
	mb := d.must("conversation.add-participant", first, pair).Sid

	failure := d.refused("address_pair_taken", command(t, "conversation.add-participant", second, pair))
	require.Equal(t, 50416, failure.Twilio)
	require.Contains(t, failure.Message, first)

	d.must("conversation.remove-participant", first, fields{"participant": mb})
	d.must("conversation.add-participant", second, pair)
	d.must("conversation.update", second, fields{"state": "closed"})
	closed := d.types(events.Stream(events.CategoryConversation, second))
	d.must("conversation.add-participant", first, pair)
	require.Equal(t, closed, d.types(events.Stream(events.CategoryConversation, second)), "closing releases without another event")
	require.Contains(t, d.types(events.Stream(events.CategoryConversation, first)), "reservation.lost.v1", "a live holder is fenced")
}

func TestOfTwentyClaimantsOfAPairExactlyOneWins(t *testing.T) {
	d := openDesk(t).withMessaging()
	var conversations []string
	for range 20 {
		conversations = append(conversations, d.must("conversation.create", "", fields{}).Sid)
	}
	var won, lost int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i, ch := range conversations {
		e := d.Engine
		if i%2 == 1 { // another node: its own lanes and its own memory
			e = engine.New(d.log, &engine.Options{DefaultAccount: account, Now: d.clock})
		}
		all.Go(func() {
			_, err := retrying(t.Context(), e, command(t, "conversation.add-participant", ch, fields{"address": from, "proxy_address": proxy}))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if engine.AsFailure(err).Twilio == 50416 {
				lost++
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, won)
	require.Equal(t, 19, lost)
}

func TestAChatParticipantGetsAUserOnce(t *testing.T) {
	d := openDesk(t)
	first := d.must("conversation.create", "", fields{}).Sid
	second := d.must("conversation.create", "", fields{}).Sid
	d.must("conversation.add-participant", first, fields{"identity": "alice"})
	d.must("conversation.add-participant", second, fields{"identity": "alice"})
	users := 0
	for recorded, err := range d.log.ReadAll(t.Context(), events.Position{}, store.Filter{Types: []string{events.UserCreated{}.EventType()}}) {
		require.NoError(t, err)
		require.Equal(t, events.ActorSystem, recorded.Metadata.Actor.Kind)
		users++
	}
	require.Equal(t, 1, users)
	d.refused("user_exists", command(t, "user.create", "", fields{"identity": "alice"}))
	head := d.head()
	_, err := d.Execute(t.Context(), command(t, "conversation.add-participant", first, fields{"identity": "bob", "attributes": "not json"}))
	require.Error(t, err)
	require.Equal(t, head, d.head(), "no user for a participant that was refused")
}

func TestAHolderThatTakesItsNameBackAndATakerCannotBothHaveIt(t *testing.T) {
	log := memstore.New()
	a := newDesk(t, log)
	a.must("account.create", account, fields{})
	ch := a.must("conversation.create", "", fields{"unique_name": "X"}).Sid
	a.must("conversation.update", ch, fields{"unique_name": "Y"})

	between := &rival{Log: log, prefix: "reservation-unique-name"}
	between.before = func() { a.must("conversation.update", ch, fields{"unique_name": "X"}) } // B has fenced A and is about to claim
	b := newDesk(t, between)
	_, err := b.Execute(t.Context(), command(t, "conversation.create", "", fields{"unique_name": "X"}))
	require.Equal(t, 50353, engine.AsFailure(err).Twilio)
}

func TestAPairIsHeldWhicheverParticipantClaimedItLast(t *testing.T) {
	log := memstore.New()
	between := &rival{Log: log, prefix: "reservation-address-pair"}
	d := newDesk(t, between)
	d.must("account.create", account, fields{})
	d.withMessaging()
	first := d.must("conversation.create", "", fields{}).Sid
	second := d.must("conversation.create", "", fields{}).Sid
	pair := fields{"address": from, "proxy_address": proxy}
	node := engine.New(log, &engine.Options{DefaultAccount: account, Now: d.clock})
	between.before = func() { // another node adds the same pair to the same conversation, all the way
		_, err := node.Execute(t.Context(), command(t, "conversation.add-participant", first, pair))
		require.NoError(t, err)
	}
	_, err := d.Execute(t.Context(), command(t, "conversation.add-participant", first, pair))
	require.Equal(t, 50416, engine.AsFailure(err).Twilio)
	_, err = d.Execute(t.Context(), command(t, "conversation.add-participant", second, pair))
	require.Equal(t, 50416, engine.AsFailure(err).Twilio)
}

func TestActivityThatWaitedDoesNotPullATimerBack(t *testing.T) {
	between := &rival{Log: memstore.New(), prefix: "reservation-identity"}
	d := newDesk(t, between)
	d.must("account.create", account, fields{})
	ch := d.must("conversation.create", "", fields{"timers": fields{"inactive": "PT60S"}}).Sid
	begun := d.clock()
	between.before = func() { // the claim takes long, and a message overtakes it
		d.advance(20 * time.Second)
		d.must("conversation.add-message", ch, fields{"body": "hello"})
	}
	d.must("conversation.add-participant", ch, fields{"identity": "alice"})
	next, _, err := d.Advance(t.Context(), ch, begun)
	require.NoError(t, err)
	require.Equal(t, begun.Add(80*time.Second), next)
}
