package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// openVault keeps secrets in the open, marked, so that tests see what was sealed.
type openVault struct{}

func (openVault) Seal(plain []byte) (string, error) {
	return "sealed:" + strings.ToUpper(string(plain)), nil
}

func (openVault) Unseal(sealed string) ([]byte, error) {
	plain, ok := strings.CutPrefix(sealed, "sealed:")
	if !ok {
		return nil, errors.New("not sealed here")
	}
	return []byte(strings.ToLower(plain)), nil
}

// furnished is a desk with everything an engine can have.
func furnished(t *testing.T, change ...func(*engine.Options)) *desk {
	t.Helper()
	d := &desk{t: t, log: memstore.New()}
	o := &engine.Options{DefaultAccount: account, Vault: openVault{}}
	for _, c := range change {
		c(o)
	}
	d.Engine = engine.New(d.log, o)
	d.must("account.create", account, fields{})
	return d
}

const secret = "abcdefabcdefabcdefabcdefabcdef12"

func requireAccount(t *testing.T, d *desk, name, secret, want string) {
	t.Helper()
	got, err := d.Authenticate(t.Context(), name, secret)
	if want == "" {
		var failure *engine.Failure
		require.ErrorAs(t, err, &failure)
		require.Equal(t, engine.KindUnauthenticated, failure.Kind)
		return
	}
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestOnlyThePresentSecretOpens(t *testing.T) {
	d := furnished(t)
	next := strings.Repeat("9", 32)
	requireAccount(t, d, account, "", "")
	d.must("account.set-auth-token", account, fields{"secret": secret})
	requireAccount(t, d, account, secret, account)
	d.must("account.set-auth-token", account, fields{"secret": next})
	requireAccount(t, d, account, secret, "")
	requireAccount(t, d, account, next, account)
	d.must("account.set-auth-token", account, fields{})
	for _, wrong := range []string{next, secret, ""} {
		requireAccount(t, d, account, wrong, "")
	}

	key := d.must("apikey.create", "", fields{"secret": secret}).Sid
	requireAccount(t, d, key, secret, account)
	d.must("apikey.replace-secret", key, fields{"secret": next})
	requireAccount(t, d, key, secret, "")
	_, signing, ok, err := d.APIKeySecret(t.Context(), key)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, next, string(signing))
	d.must("apikey.revoke", key, fields{})
	requireAccount(t, d, key, next, "")
	_, _, ok, err = d.APIKeySecret(t.Context(), key)
	require.NoError(t, err)
	require.False(t, ok)
	d.refused("api_key_not_found", command(t, "apikey.revoke", key, fields{}))
	for _, nobody := range []string{"", "ann", domain.SID("AC", "x"), domain.SID("SK", "x"), "AC", strings.Repeat("A", 5000)} {
		requireAccount(t, d, nobody, next, "")
	}
}

func TestGuessableSecretsAreRefusedAndNoneIsInTheLog(t *testing.T) {
	d := furnished(t)
	for _, weak := range []string{"short", strings.Repeat("a", 65), strings.Repeat("a", 31) + "-"} {
		d.refused("secret_invalid", command(t, "account.set-auth-token", account, fields{"secret": weak}))
		d.refused("secret_invalid", command(t, "apikey.create", "", fields{"secret": weak}))
	}
	d.must("account.set-auth-token", account, fields{"secret": secret})
	d.must("apikey.create", "", fields{"secret": secret})
	cr := d.must("credential.create", "", fields{"type": "apn", "secrets": fields{"certificate": secret, "private_key": "key-" + secret}}).Sid
	d.must("credential.update", cr, fields{"secrets": fields{"private_key": "other-" + secret}})
	for r, err := range d.log.ReadAll(t.Context(), events.Position{}, store.Filter{}) {
		require.NoError(t, err)
		require.NotContains(t, string(events.AppendMetadata(nil, r.Metadata)), secret)
		require.False(t, bytes.Contains(r.Data, []byte(secret)), r.Type)
	}
	updated := d.types("credential-" + cr)
	require.Equal(t, []string{"credential.created.v1", "credential.updated.v1"}, updated)
	for r, err := range d.log.ReadStream(t.Context(), "credential-"+cr, 1, store.Forwards) {
		require.NoError(t, err)
		require.Contains(t, string(r.Data), "OTHER-", "the secret that was given")
		require.Contains(t, string(r.Data), "CERTIFICATE", "and the one that was there")
	}
}

func TestWithoutAVaultSecretsAreRefused(t *testing.T) {
	d := furnished(t, func(o *engine.Options) { o.Vault = nil })
	d.refused("no_vault", command(t, "account.set-auth-token", account, fields{"secret": secret}))
	d.refused("no_vault", command(t, "apikey.create", "", fields{"secret": secret}))
	d.refused("no_vault", command(t, "credential.create", "", fields{"type": "fcm", "secrets": fields{"secret": secret}}))
	d.must("credential.create", "", fields{"type": "fcm"})
}

func TestAParentActsForItsSubAccountsAndNobodyElseDoes(t *testing.T) {
	d := furnished(t)
	child := d.must("account.create", "", fields{"parent": account}).Sid
	sibling := d.must("account.create", "", fields{"parent": account}).Sid
	stranger := d.must("account.create", "", fields{}).Sid
	d.refused("parent_is_subaccount", command(t, "account.create", "", fields{"parent": child}))
	d.refused("parent_not_found", command(t, "account.create", "", fields{"parent": domain.SID("AC", "nobody")}))
	home, err := d.Place(t.Context(), child, "")
	require.NoError(t, err)
	for acting, allowed := range map[string]bool{account: true, child: true, sibling: false, stranger: false} {
		place, err := d.Place(t.Context(), acting, home.Service)
		require.Equal(t, allowed, err == nil, acting)
		require.Equal(t, allowed, d.ActFor(t.Context(), acting, child) == nil, acting)
		if allowed {
			require.Equal(t, home, place)
		}
	}
	require.Error(t, d.ActFor(t.Context(), child, account))
	_, err = d.Place(t.Context(), account, domain.SID("IS", "nothing"))
	require.Error(t, err)
}

func TestAnAddressHasOneConfiguration(t *testing.T) {
	d := furnished(t)
	var group sync.WaitGroup
	made := make(chan string, 20)
	for i := range 20 {
		e := d.Engine
		if i%2 == 1 { // another node
			e = engine.New(d.log, &engine.Options{DefaultAccount: account})
		}
		group.Go(func() {
			o, err := retrying(t.Context(), e, command(t, "address.create", "", fields{"type": "sms", "address": "+15005550006", "friendly_name": fmt.Sprint(i)}))
			if err == nil {
				made <- o.Sid
				return
			}
			require.Equal(t, "address_configured", engine.AsFailure(err).Code)
		})
	}
	group.Wait()
	require.Len(t, made, 1)
	first := <-made
	d.must("address.create", "", fields{"type": "whatsapp", "address": "whatsapp:+15005550006"})
	d.refusedButForClaims("address_configured", command(t, "address.create", "", fields{"type": "sms", "address": "+15005550006"}))
	d.must("address.remove", first, fields{})
	d.must("address.create", "", fields{"type": "sms", "address": "+15005550006"})
}

func (d *desk) upload(name string) string {
	return d.must("media.create", "", fields{"content_type": "image/png", "filename": name, "size": 7, "sha256": strings.Repeat("ab", 32)}).Sid
}

func attach(sids ...string) fields {
	var media []fields
	for _, sid := range sids {
		media = append(media, fields{"media": sid})
	}
	return fields{"media": media}
}

func TestAFileIsAttachedOnce(t *testing.T) {
	d := furnished(t)
	ch, other := d.must("conversation.create", "", fields{}).Sid, d.must("conversation.create", "", fields{}).Sid
	file := d.upload("a.png")
	said := d.must("conversation.add-message", ch, attach(file)).Sid
	for _, in := range []string{ch, other} {
		require.Equal(t, 50508, d.refusedButForClaims("media_attached", command(t, "conversation.add-message", in, attach(file))).Twilio)
	}
	require.Equal(t, 50507, d.refused("media_not_found", command(t, "conversation.add-message", ch, attach(domain.SID("ME", "x")))).Twilio)
	d.refusedButForClaims("media_attached", command(t, "media.remove", file, fields{}))

	d.must("conversation.remove-message", ch, fields{"message": said})
	for _, in := range []string{ch, other} {
		d.refusedButForClaims("media_attached", command(t, "conversation.add-message", in, attach(file)))
	}
	d.must("media.remove", file, fields{})
	d.refused("media_not_found", command(t, "conversation.add-message", other, attach(file)))

	service := d.must("service.create", "", fields{"friendly_name": "Other"}).Sid
	foreign := command(t, "media.create", "", fields{"content_type": "a/b", "size": 1, "sha256": strings.Repeat("cd", 32)})
	foreign.Service = service
	made, err := d.Execute(t.Context(), foreign)
	require.NoError(t, err)
	d.refused("media_not_found", command(t, "conversation.add-message", ch, attach(made.Sid)))
}

// refusedButForClaims is refused for what finds out in another stream: the claim
// it made there stays, and harms nobody.
func (d *desk) refusedButForClaims(code string, c engine.Command) engine.Failure {
	d.t.Helper()
	_, err := d.Execute(d.t.Context(), c)
	failure := engine.AsFailure(err)
	require.NotNil(d.t, failure)
	require.Equal(d.t, code, failure.Code)
	return *failure
}

// Attaching and collecting race for the same file: one of them has it.
func TestAFileIsAttachedOrRemovedNeverBoth(t *testing.T) {
	d := furnished(t)
	ch := d.must("conversation.create", "", fields{}).Sid
	otherNode := engine.New(d.log, &engine.Options{DefaultAccount: account})
	for i := range 60 {
		file := d.upload(fmt.Sprint(i))
		var attached, removed error
		var group sync.WaitGroup
		group.Go(func() {
			_, attached = retrying(t.Context(), d.Engine, command(t, "conversation.add-message", ch, attach(file)))
		})
		group.Go(func() { _, removed = retrying(t.Context(), otherNode, command(t, "media.remove", file, fields{})) })
		group.Wait()
		require.NotEqual(t, attached == nil, removed == nil, "attached: %v, removed: %v", attached, removed)
	}
}

func withPeople(participants ...fields) fields {
	return fields{"conversation": fields{"unique_name": "t"}, "participants": participants}
}

func TestAConversationBeginsWithItsParticipantsOrNotAtAll(t *testing.T) {
	d := furnished(t).withMessaging()
	sms := fields{"address": "+15550100001", "proxy_address": "+15550109999"}
	head := d.head()
	for code, participants := range map[string][]fields{
		"participant_exists": {{"identity": "ann"}, sms, {"identity": "ann"}},
		"address_invalid":    {{"identity": "ann"}, {"address": "nonsense", "proxy_address": "+15550109999"}},
		"address_pair_taken": {sms, sms},
		"role_not_found":     {{"identity": "ann", "role": domain.SID("RL", "none")}},
		"too_many_participants": {{"identity": "1"}, {"identity": "2"}, {"identity": "3"}, {"identity": "4"}, {"identity": "5"}, {"identity": "6"},
			{"identity": "7"}, {"identity": "8"}, {"identity": "9"}, {"identity": "10"}, {"identity": "11"}},
	} {
		failure := d.refused(code, command(t, "conversation.create-with-participants", "", withPeople(participants...)))
		if code == "address_pair_taken" {
			require.Equal(t, 50425, failure.Twilio)
		}
	}
	require.Equal(t, head, d.head(), "no users either")

	c := command(t, "conversation.create-with-participants", "", withPeople(fields{"identity": "ann"}, fields{"identity": "bob"}, sms))
	c.ID = events.NameID("together")
	first, err := d.Execute(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, []string{"conversation.created.v1", "conversation.participant-added.v2", "conversation.participant-added.v2", "conversation.participant-added.v2"}, first.Events)
	again, err := d.Execute(t.Context(), c)
	require.NoError(t, err)
	require.True(t, again.Repeated)
	require.Equal(t, first.Sid, again.Sid)
	for _, identity := range []string{"ann", "bob"} {
		_, err := d.UserSid(t.Context(), d.home(), identity)
		require.NoError(t, err, identity)
	}
	found, err := d.ConversationSid(t.Context(), d.home(), "t")
	require.NoError(t, err)
	require.Equal(t, first.Sid, found)
	other := d.must("conversation.create", "", fields{}).Sid
	require.Equal(t, 50416, d.refusedButForClaims("address_pair_taken", command(t, "conversation.add-participant", other, sms)).Twilio)
	require.Equal(t, 50425, d.refusedButForClaims("address_pair_taken", command(t, "conversation.create-with-participants", "", fields{"participants": []fields{sms}})).Twilio)
}

func (d *desk) home() engine.Place {
	d.t.Helper()
	place, err := d.Place(d.t.Context(), account, "")
	require.NoError(d.t, err)
	return place
}

func TestARemovedUserIsTakenOutOfHisConversations(t *testing.T) {
	var known []engine.Membership
	var trouble error
	d := furnished(t, func(o *engine.Options) {
		o.Memberships = func(context.Context, string, string) ([]engine.Membership, error) { return known, trouble }
	})
	ch := d.must("conversation.create", "", fields{}).Sid
	ann := d.must("user.create", "", fields{"identity": "ann"}).Sid
	mb := d.must("conversation.add-participant", ch, fields{"identity": "ann"}).Sid
	known = []engine.Membership{{Conversation: ch, Participant: mb, User: ann}, {Conversation: ch, Participant: domain.SID("MB", "later"), User: domain.SID("US", "a later ann")}}

	trouble = errors.New("not now")
	remove := command(t, "user.remove", ann, fields{})
	remove.ID = events.NameID("remove")
	_, err := d.Execute(t.Context(), remove)
	require.True(t, engine.AsFailure(err).Retryable)
	trouble = nil
	for range 2 {
		_, err = d.Execute(t.Context(), remove)
		require.NoError(t, err, "the same command goes on where it was, and is then done")
	}
	require.Equal(t, "conversation.participant-removed.v1", d.types("conversation-" + ch)[2])
	require.Len(t, d.types("conversation-"+ch), 3)
}

func TestWhatIsInUseStays(t *testing.T) {
	inUse := true
	d := furnished(t, func(o *engine.Options) {
		o.RoleInUse = func(context.Context, string, string) (bool, error) { return inUse, nil }
	})
	rl := d.must("role.create", "", fields{"friendly_name": "r", "type": "conversation", "permissions": []string{"sendMessage"}}).Sid
	d.refused("role_in_use", command(t, "role.remove", rl, fields{}))
	inUse = false
	d.must("service.configure", d.home().Service, fields{"default_conversation_role": rl})
	d.refused("role_in_use", command(t, "role.remove", rl, fields{}))
	d.refused("service_is_default", command(t, "service.remove", d.home().Service, fields{}))
}

func TestARemovedServiceTakesItsConversationsWithIt(t *testing.T) {
	d := furnished(t)
	service := d.must("service.create", "", fields{"friendly_name": "Other"}).Sid
	c := command(t, "conversation.create", "", fields{})
	c.Service = service
	made, err := d.Execute(t.Context(), c)
	require.NoError(t, err)
	d.must("service.remove", service, fields{})
	d.refused("not_found", command(t, "conversation.add-message", made.Sid, fields{"body": "hi"}))
	_, err = d.Place(t.Context(), account, service)
	require.Error(t, err)
	away := command(t, "conversation.remove", made.Sid, fields{})
	away.Actor = events.Actor{Kind: events.ActorSystem}
	_, err = d.Execute(t.Context(), away)
	require.NoError(t, err, "who clears away still finds it")
}

func TestEveryWriteIsToldOf(t *testing.T) {
	var mu sync.Mutex
	var told []engine.Written
	d := furnished(t, func(o *engine.Options) {
		o.Wrote = func(w engine.Written) { mu.Lock(); defer mu.Unlock(); told = append(told, w) }
	})
	ch := d.must("conversation.create", "", fields{}).Sid
	last := told[len(told)-1]
	require.Equal(t, engine.Written{Account: account, Service: d.home().Service, Aggregate: ch, Position: d.head()}, last)
}
