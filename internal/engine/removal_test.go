package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// members reads from the log who is where, as a read model would.
type members struct {
	log    store.Log
	failed error // what to answer instead
	asked  int
}

func (m *members) of(ctx context.Context, service, identity string) ([]engine.Membership, error) {
	m.asked++
	if m.failed != nil {
		return nil, m.failed
	}
	var there []engine.Membership
	for recorded, err := range m.log.ReadAll(ctx, events.Position{}, store.Filter{}) {
		if err != nil {
			return nil, err
		}
		_, id, _ := events.SplitStream(recorded.Stream)
		event, err := events.Vocabulary().Decode(recorded.Type, recorded.Data)
		if err != nil {
			return nil, err
		}
		switch e := event.(type) {
		case events.ParticipantAdded:
			if e.Identity == identity && recorded.Metadata.Service == service {
				there = append(there, engine.Membership{Conversation: id, Participant: e.Participant, User: e.User})
			}
		case events.ParticipantRemoved:
			for i, p := range there {
				if p.Participant == e.Participant {
					there = append(there[:i:i], there[i+1:]...)
					break
				}
			}
		}
	}
	return there, nil
}

// memberDesk is a desk that knows who is where.
func memberDesk(t *testing.T, log store.Log) (*desk, *members) {
	t.Helper()
	m := &members{log: log}
	d := newDesk(t, log, func(o *engine.Options) { o.Memberships = m.of })
	return d, m
}

// here is the account's default service.
func (d *desk) here() engine.Place {
	d.t.Helper()
	p, err := d.Place(d.t.Context(), account, "")
	require.NoError(d.t, err)
	return p
}

func (d *desk) user(name string) string {
	d.t.Helper()
	sid, err := d.UserSid(d.t.Context(), d.here(), name)
	require.NoError(d.t, err)
	return sid
}

// present lists where the identity takes part.
func (d *desk) present(name string, talks ...string) (there []bool) {
	d.t.Helper()
	for _, ch := range talks {
		there = append(there, d.MayRead(d.t.Context(), d.here(), name, ch) == nil)
	}
	return there
}

func TestARemovedUserIsTakenOutOfEveryConversation(t *testing.T) {
	d, m := memberDesk(t, memstore.New())
	d.must("account.create", account, fields{})
	open := d.must(withPeople, "", people(fields{}, identity("alice"), identity("bob"))).Sid
	shut := d.must(withPeople, "", people(fields{}, identity("alice"))).Sid
	gone := d.must(withPeople, "", people(fields{}, identity("alice"))).Sid
	d.must("conversation.update", shut, fields{"state": "closed"})
	d.must("conversation.remove", gone, fields{})
	alice := d.user("alice")
	require.Equal(t, []bool{true, true, false}, d.present("alice", open, shut, gone))

	remove := command(t, "user.remove", alice, fields{})
	remove.ID = events.NameID("remove alice")
	asUser := remove
	asUser.ID, asUser.Actor = events.ID{}, events.Actor{Kind: events.ActorUser, ID: "alice"}
	d.refused("permission_denied", asUser)
	require.Zero(t, m.asked, "of a removal that was refused")
	outcome, err := d.Execute(t.Context(), remove)
	require.NoError(t, err)
	require.Equal(t, []string{"user.removed.v1"}, outcome.Events)
	require.Equal(t, []bool{false, false}, d.present("alice", open, shut))
	require.Equal(t, []bool{true}, d.present("bob", open))

	head := d.head()
	again, err := d.Execute(t.Context(), remove)
	require.NoError(t, err)
	require.True(t, again.Repeated)
	require.Equal(t, head, d.head())
	require.Equal(t, 50200, d.refused("user_not_found", command(t, "user.remove", alice, fields{})).Twilio)
}

func TestARemovalThatBrokeOffGoesOnWithTheSameCommand(t *testing.T) {
	d, m := memberDesk(t, memstore.New())
	d.must("account.create", account, fields{})
	ch := d.must(withPeople, "", people(fields{}, identity("alice"))).Sid
	remove := command(t, "user.remove", d.user("alice"), fields{})
	remove.ID, remove.Deadline = events.NameID("remove alice"), d.clock().Add(time.Second)

	m.failed = errors.New("not there yet")
	_, err := d.Execute(t.Context(), remove)
	failure := engine.AsFailure(err)
	require.True(t, failure.Retryable)
	require.Equal(t, engine.KindUnavailable, failure.Kind)
	require.ErrorIs(t, err, m.failed)
	require.Equal(t, []bool{true}, d.present("alice", ch))

	d.advance(time.Minute) // the deadline was for the removal, which is done
	m.failed = nil
	after, _ := memberDesk(t, d.log) // the server was restarted
	after.now = d.clock()
	outcome, err := after.Execute(t.Context(), remove)
	require.NoError(t, err)
	require.True(t, outcome.Repeated)
	require.Equal(t, []bool{false}, after.present("alice", ch))
}

// A client that has no id to repeat finds the user gone; what is left of him goes.
func TestARemovalThatBrokeOffGoesOnWithAnotherCommand(t *testing.T) {
	d, m := memberDesk(t, memstore.New())
	d.must("account.create", account, fields{})
	ch := d.must(withPeople, "", people(fields{}, identity("alice"))).Sid
	alice := d.user("alice")
	m.failed = errors.New("not there yet")
	_, err := d.Execute(t.Context(), command(t, "user.remove", alice, fields{}))
	require.ErrorIs(t, err, m.failed)
	require.Equal(t, []bool{true}, d.present("alice", ch))
	m.failed = nil
	_, err = d.Execute(t.Context(), command(t, "user.remove", alice, fields{}))
	require.Equal(t, "user_not_found", engine.AsFailure(err).Code)
	require.Equal(t, []bool{false}, d.present("alice", ch))
}

// A read model may be behind, and somebody else be quicker.
func TestWhatIsLeftAlreadyDoesNotStopARemoval(t *testing.T) {
	d, m := memberDesk(t, memstore.New())
	d.must("account.create", account, fields{})
	var talks []string
	for range 3 {
		talks = append(talks, d.must(withPeople, "", people(fields{}, identity("alice"))).Sid)
	}
	alice := d.user("alice")
	before, err := m.of(t.Context(), d.here().Service, "alice")
	require.NoError(t, err)
	require.Len(t, before, 3)
	d.must("conversation.remove-participant", talks[0], fields{"participant": "alice"})
	d.must("conversation.remove", talks[1], fields{})
	behind := newDesk(t, d.log, func(o *engine.Options) {
		o.Memberships = func(context.Context, string, string) ([]engine.Membership, error) {
			return append(before, engine.Membership{Conversation: domain.SID("CH", "absent"), Participant: domain.SID("MB", "absent"), User: alice}), nil
		}
	})
	behind.must("user.remove", alice, fields{})
	require.Equal(t, []bool{false, false, false}, behind.present("alice", talks...))
	require.Contains(t, d.types(events.Stream(events.CategoryConversation, talks[2])), "conversation.participant-removed.v1")
}

func TestALaterUserWithTheSameIdentityKeepsHisPlaces(t *testing.T) {
	d, m := memberDesk(t, memstore.New())
	d.must("account.create", account, fields{})
	ch := d.must(withPeople, "", people(fields{}, identity("alice"))).Sid
	remove := command(t, "user.remove", d.user("alice"), fields{})
	remove.ID = events.NameID("remove alice")
	m.failed = errors.New("not there yet")
	_, err := d.Execute(t.Context(), remove)
	require.Error(t, err)
	m.failed = nil

	second := d.must("user.create", "", identity("alice")).Sid
	hers := d.must(withPeople, "", people(fields{}, identity("alice"))).Sid
	require.Equal(t, second, d.user("alice"))
	_, err = d.Execute(t.Context(), remove)
	require.NoError(t, err)
	require.Equal(t, []bool{false, true}, d.present("alice", ch, hers))
}

func TestARemovedUserLeavesWhatIsLeftOfARemovedService(t *testing.T) {
	d, _ := memberDesk(t, memstore.New())
	d.must("account.create", account, fields{})
	other := d.must("service.create", "", fields{"friendly_name": "other"}).Sid
	in := func(c engine.Command) engine.Outcome {
		c.Service = other
		outcome, err := d.Execute(t.Context(), c)
		require.NoError(t, err)
		return outcome
	}
	ch := in(command(t, withPeople, "", people(fields{}, identity("alice")))).Sid
	alice, err := d.UserSid(t.Context(), engine.Place{Account: account, Service: other}, "alice")
	require.NoError(t, err)
	d.must("service.remove", other, fields{})
	in(command(t, "user.remove", alice, fields{}))
	require.Contains(t, d.types(events.Stream(events.CategoryConversation, ch)), "conversation.participant-removed.v1")
}

func TestConversationsOfARemovedServiceAreNotFound(t *testing.T) {
	d := openDesk(t)
	other := d.must("service.create", "", fields{"friendly_name": "other"}).Sid
	create := command(t, "conversation.create", "", fields{"unique_name": "order", "timers": fields{"inactive": "PT1M"}})
	create.Service = other
	made, err := d.Execute(t.Context(), create)
	require.NoError(t, err)
	ch := made.Sid
	d.must("conversation.add-participant", ch, identity("alice"))
	file := command(t, "media.create", "", upload)
	file.Service = other
	_, err = d.Execute(t.Context(), file)
	require.NoError(t, err)

	require.Equal(t, 20409, d.refused("service_is_default", command(t, "service.remove", d.here().Service, fields{})).Twilio)
	d.must("service.remove", other, fields{})
	require.Equal(t, 50050, d.refused("service_not_found", command(t, "service.remove", other, fields{})).Twilio)
	_, err = d.Place(t.Context(), account, other)
	require.Equal(t, 20404, engine.AsFailure(err).Twilio)
	for _, kind := range []events.ActorKind{events.ActorAPI, events.ActorChannel, events.ActorImport} {
		for _, c := range []engine.Command{
			command(t, "conversation.add-message", ch, fields{"body": "x"}),
			command(t, "conversation.update", ch, fields{"state": "closed"}),
			command(t, "conversation.remove", ch, fields{}),
			command(t, "conversation.add-participant", ch, identity("bob")),
		} {
			c.Actor.Kind = kind
			require.Equal(t, 20404, d.refused("not_found", c).Twilio)
		}
	}
	asAlice := command(t, "conversation.add-message", ch, fields{"body": "x"})
	asAlice.Actor = events.Actor{Kind: events.ActorUser, ID: "alice"}
	d.refused("not_a_participant", asAlice) // whether there is a conversation is not hers to know
	for _, c := range []engine.Command{create, command(t, withPeople, "", people(fields{}, identity("bob"))), command(t, "user.create", "", identity("bob")), file} {
		c.ID, c.Service = events.ID{}, other
		d.refused("not_found", c)
	}

	// Who clears away still finds them, and so do timers.
	d.advance(time.Minute)
	_, _, err = d.Advance(t.Context(), ch, d.clock())
	require.NoError(t, err)
	away := command(t, "conversation.remove", ch, fields{})
	away.Actor = events.Actor{Kind: events.ActorSystem}
	_, err = d.Execute(t.Context(), away)
	require.NoError(t, err)
	require.Equal(t, []string{"conversation.created.v1", "conversation.participant-added.v2", "conversation.state-changed.v1", "conversation.removed.v1"},
		d.types(events.Stream(events.CategoryConversation, ch)))
}

func TestARoleThatIsInUseStays(t *testing.T) {
	var used string
	var failed error
	d := openDesk(t, func(o *engine.Options) {
		o.RoleInUse = func(_ context.Context, _, role string) (bool, error) { return role == used, failed }
	})
	create := fields{"friendly_name": "guest", "type": "conversation", "permissions": []string{"sendMessage"}}
	rl := d.must("role.create", "", create).Sid
	remove := command(t, "role.remove", rl, fields{})

	used = rl
	require.Equal(t, 20409, d.refused("role_in_use", remove).Twilio, "somebody has it")
	used, failed = "", errors.New("not there yet")
	require.True(t, d.refused("unavailable", remove).Retryable)
	failed = nil
	for _, which := range []string{"default_conversation_role", "default_conversation_creator_role"} {
		before := d.must("service.configure", d.here().Service, fields{which: rl}).Decided[0].(events.ServiceConfigured)
		require.Equal(t, 20409, d.refused("role_in_use", remove).Twilio, which)
		next := d.must("role.create", "", create).Sid
		d.must("service.configure", d.here().Service, fields{"default_conversation_role": next, "default_conversation_creator_role": next})
		require.NotEqual(t, next, before.ConversationRole)
	}
	d.must("role.remove", rl, fields{})
	require.Equal(t, 50100, d.refused("role_not_found", remove).Twilio)

	// Without a read model only the service's own are known.
	alone := newDesk(t, d.log)
	configured := d.must("service.create", "", fields{"friendly_name": "other"}).Decided[1].(events.ServiceConfigured)
	for _, sid := range []string{configured.CreatorRole, configured.ConversationRole, configured.ServiceRole} {
		alone.refused("role_in_use", command(t, "role.remove", sid, fields{}))
	}
	alone.must("role.remove", d.must("role.create", "", create).Sid, fields{})
}
