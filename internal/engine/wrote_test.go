package engine_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// listener keeps what it hears.
type listener struct {
	mu    sync.Mutex // guards heard
	heard []engine.Written
}

func (l *listener) wrote(w engine.Written) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, w)
}

func (l *listener) last() engine.Written { return l.heard[len(l.heard)-1] }

func TestWhoListensHearsOfEveryWriteBeforeItsOutcome(t *testing.T) {
	var ear listener
	log := memstore.New()
	m := &members{log: log}
	listening := func(o *engine.Options) { o.Wrote, o.Vault, o.Memberships = ear.wrote, testVault, m.of }
	d := newDesk(t, log, listening)
	expect := func(o engine.Outcome, service string) {
		t.Helper()
		require.Equal(t, engine.Written{Account: account, Service: service, Aggregate: o.Aggregate, Position: o.Position}, ear.last())
	}
	expect(d.must("account.create", account, fields{}), "")
	here := d.here().Service
	for _, c := range []struct {
		command engine.Command
		service string
	}{
		{command(t, "account.set-auth-token", account, fields{"secret": secretOf("x")}), ""},
		{command(t, "account.configure-webhooks", account, fields{"method": "GET"}), ""},
		{command(t, "apikey.create", "", fields{"secret": secretOf("x")}), ""},
		{command(t, "credential.create", "", fields{"type": "fcm"}), ""},
		{command(t, "address.create", "", fields{"type": "sms", "address": proxy}), ""},
		{command(t, "service.configure-webhooks", here, fields{"method": "GET"}), here},
		{command(t, "service.configure-notifications", here, fields{"log_enabled": true}), here},
		{command(t, "role.create", "", fields{"friendly_name": "guest", "type": "conversation", "permissions": []string{"sendMessage"}}), here},
		{command(t, "user.create", "", identity("bob")), here},
		{command(t, "binding.create", "", fields{"identity": "bob", "type": "fcm", "endpoint": "token"}), here},
		{command(t, "media.create", "", upload), here},
		{command(t, "conversation.create", "", fields{}), here},
		{command(t, withPeople, domain.SID("CH", "one"), people(fields{}, identity("alice"))), here},
		{command(t, "conversation.add-message", domain.SID("CH", "one"), fields{"body": "x"}), here},
	} {
		t.Run(c.command.Type, func(t *testing.T) {
			c.command.ID = events.NameID(c.command.Type)
			outcome, err := d.Execute(t.Context(), c.command)
			require.NoError(t, err)
			require.Equal(t, d.head(), outcome.Position)
			expect(outcome, c.service)
			again, err := d.Execute(t.Context(), c.command)
			require.NoError(t, err)
			require.True(t, again.Repeated)
			expect(outcome, c.service)
			after := newDesk(t, d.log, listening) // nothing was heard before a restart
			_, err = after.Execute(t.Context(), c.command)
			require.NoError(t, err)
			expect(outcome, c.service)
		})
	}

	heard := len(ear.heard)
	d.refused("conversation_exists", command(t, "conversation.create", domain.SID("CH", "one"), fields{}))
	require.Len(t, ear.heard, heard, "what is refused is not heard")

	alice := d.user("alice")
	d.must("user.remove", alice, fields{})
	var parts []string
	for _, w := range ear.heard[heard:] {
		require.Equal(t, []string{account, here}, []string{w.Account, w.Service})
		parts = append(parts, w.Aggregate)
	}
	require.ElementsMatch(t, []string{domain.SID("CH", "one"), alice}, parts, "a removed user's places too")
}

// readers is a log that counts how often a stream is read.
type readers struct {
	store.Log
	mu   sync.Mutex // guards read
	read map[string]int
}

func (c *readers) ReadStream(ctx context.Context, stream string, from store.Revision, d store.Direction) iter.Seq2[events.Recorded, error] {
	c.mu.Lock()
	if from <= 0 {
		c.read[stream]++
	}
	c.mu.Unlock()
	return c.Log.ReadStream(ctx, stream, from, d)
}

// Whoever asks for made-up names must not push out of memory what is in use.
func TestMadeUpNamesAreNotKept(t *testing.T) {
	log := &readers{Log: memstore.New(), read: map[string]int{}}
	d := newDesk(t, log, withVault, func(o *engine.Options) { o.CacheEntries = 20 })
	d.must("account.create", account, fields{})
	key := d.must("apikey.create", "", fields{"secret": secretOf("key")}).Sid
	ch := d.must("conversation.create", "", fields{"unique_name": "order"}).Sid
	requireActs(t, d.Engine, key, secretOf("key"))
	place := d.here()
	before := map[string]int{}
	streams := []string{
		events.Stream(events.CategoryAPIKey, key), events.Stream(events.CategoryConversation, ch),
		events.Stream(events.CategoryAccount, account), events.Stream(events.CategoryService, place.Service),
	}
	for _, s := range streams {
		before[s] = log.read[s]
	}
	for i := range 100 {
		name := fmt.Sprint(i)
		requireStranger(t, d.Engine, domain.SID("SK", name), secretOf("key"))
		requireStranger(t, d.Engine, domain.SID("AC", name), secretOf("key"))
		_, err := d.Place(t.Context(), account, domain.SID("IS", name))
		require.Error(t, err)
		sid, err := d.ConversationSid(t.Context(), place, name)
		require.NoError(t, err)
		require.Empty(t, sid)
		require.Error(t, d.MayRead(t.Context(), place, "", domain.SID("CH", name)))
		d.refused("not_found", command(t, "conversation.add-message", domain.SID("CH", name), fields{"body": "x"}))
		d.refused("not_found", command(t, "apikey.revoke", domain.SID("SK", name), fields{}))
	}
	requireActs(t, d.Engine, key, secretOf("key"))
	d.must("conversation.add-message", ch, fields{"body": "x"})
	for _, s := range streams {
		require.Equal(t, before[s], log.read[s], "%s was read anew", s)
	}
}

func TestWhatIsMadeLaterIsFoundUnderANameThatWasAskedForBefore(t *testing.T) {
	d := openDesk(t, withVault)
	key := domain.SID("SK", "later")
	requireStranger(t, d.Engine, key, secretOf("key"))
	node := newDesk(t, d.log, withVault)
	node.must("apikey.create", key, fields{"secret": secretOf("key")})
	requireActs(t, d.Engine, key, secretOf("key"))
}
