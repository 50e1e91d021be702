package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store/memstore"
)

// requireActs requires that name and secret stand for the account.
func requireActs(t *testing.T, e *engine.Engine, name, secret string) {
	t.Helper()
	acting, err := e.Authenticate(t.Context(), name, secret)
	require.NoError(t, err)
	require.Equal(t, account, acting)
}

// requireStranger requires that name and secret stand for nobody, for no reason
// that is told.
func requireStranger(t *testing.T, e *engine.Engine, name, secret string) {
	t.Helper()
	acting, err := e.Authenticate(t.Context(), name, secret)
	require.Empty(t, acting)
	require.Equal(t, &engine.Failure{Kind: engine.KindUnauthenticated, Code: "unauthenticated", Twilio: 20003, Message: "Authenticate"}, engine.AsFailure(err), "%s", name)
}

func TestAnAPIKeyActsForItsAccountUntilItIsRevoked(t *testing.T) {
	d := openDesk(t, withVault)
	first, second := secretOf("first"), secretOf("second")
	key := d.must("apikey.create", "", fields{"friendly_name": "CI", "secret": first}).Sid
	other := d.must("apikey.create", "", fields{"secret": secretOf("other")}).Sid
	require.True(t, domain.IsSID("SK", key))
	requireActs(t, d.Engine, key, first)
	for name, secret := range map[string]string{
		"another": second, "none": "", "in part": first[:39], "and more": first + "x", "of another key": secretOf("other"), "its hash": "sha256$",
	} {
		t.Run(name, func(t *testing.T) { requireStranger(t, d.Engine, key, secret) })
	}

	d.must("apikey.replace-secret", key, fields{"secret": second})
	requireStranger(t, d.Engine, key, first)
	requireActs(t, d.Engine, key, second)
	acting, secret, ok, err := d.APIKeySecret(t.Context(), key)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, []string{account, second}, []string{acting, string(secret)})

	d.must("apikey.revoke", key, fields{})
	for _, e := range []*engine.Engine{d.Engine, newDesk(t, d.log, withVault).Engine} { // as it was, and after a restart
		requireStranger(t, e, key, first)
		requireStranger(t, e, key, second)
		requireStranger(t, e, key, "")
		requireActs(t, e, other, secretOf("other"))
		_, secret, ok, err = e.APIKeySecret(t.Context(), key)
		require.NoError(t, err)
		require.False(t, ok)
		require.Empty(t, secret)
	}
	require.Equal(t, 20404, d.refused("api_key_not_found", command(t, "apikey.revoke", key, fields{})).Twilio)
	require.Equal(t, 20404, d.refused("api_key_not_found", command(t, "apikey.replace-secret", key, fields{"secret": first})).Twilio)
}

func TestAnAuthTokenActsForItsAccountUntilThereIsAnother(t *testing.T) {
	d := openDesk(t, withVault)
	first, second := secretOf("first"), secretOf("second")
	requireStranger(t, d.Engine, account, "")
	requireStranger(t, d.Engine, account, first)

	d.must("account.set-auth-token", account, fields{"secret": first})
	requireActs(t, d.Engine, account, first)
	requireStranger(t, d.Engine, account, second)
	requireStranger(t, d.Engine, account, "")

	d.must("account.set-auth-token", account, fields{"secret": second})
	requireStranger(t, d.Engine, account, first)
	requireActs(t, d.Engine, account, second)
	requireActs(t, newDesk(t, d.log, withVault).Engine, account, second)

	d.must("account.set-auth-token", account, fields{})
	requireStranger(t, d.Engine, account, second)
	requireStranger(t, d.Engine, account, "")
	require.Empty(t, d.must("account.set-auth-token", account, fields{"secret": ""}).Events, "there is none to take away")
	d.refused("secret_invalid", command(t, "account.set-auth-token", account, fields{"secret": "guess me"}))
}

func TestWhoIsNotKnownIsNotAuthenticated(t *testing.T) {
	d := openDesk(t, withVault)
	key := d.must("apikey.create", "", fields{"secret": secretOf("key")}).Sid
	d.must("account.set-auth-token", account, fields{"secret": secretOf("token")})
	place, err := d.Place(t.Context(), account, "")
	require.NoError(t, err)
	for _, name := range []string{
		"", "admin", account[:33], account + "0", domain.SID("AC", "nobody"), domain.SID("SK", "nobody"), place.Service,
		domain.SID("US", "alice"), "SK/../" + account, "AC\x00", "sk" + key[2:],
	} {
		for _, secret := range []string{"", secretOf("key"), secretOf("token")} {
			requireStranger(t, d.Engine, name, secret)
		}
	}
	requireStranger(t, d.Engine, account, secretOf("key"))
	requireStranger(t, d.Engine, key, secretOf("token"))
	for _, sid := range []string{"", account, domain.SID("SK", "nobody"), "SK"} {
		_, _, ok, err := d.APIKeySecret(t.Context(), sid)
		require.NoError(t, err)
		require.False(t, ok)
	}
}

func TestARepeatedAPIKeyIsTheSameKey(t *testing.T) {
	d := openDesk(t, withVault)
	create := command(t, "apikey.create", "", fields{"secret": secretOf("one")})
	create.ID = events.NameID("create the key")
	once, err := d.Execute(t.Context(), create)
	require.NoError(t, err)
	head := d.head()
	for _, e := range []*engine.Engine{d.Engine, newDesk(t, d.log, withVault).Engine} {
		again, err := e.Execute(t.Context(), create)
		require.NoError(t, err)
		require.True(t, again.Repeated)
		require.Equal(t, []any{once.Sid, once.Revision, once.Position, once.Events}, []any{again.Sid, again.Revision, again.Position, again.Events})
	}
	require.Equal(t, head, d.head())

	create.Body = mustJSON(fields{"secret": secretOf("two")})
	d.refused("idempotency_conflict", create)
	d.refused("api_key_exists", command(t, "apikey.create", once.Sid, fields{"secret": secretOf("two")}))
	d.refused("secret_invalid", command(t, "apikey.create", "", fields{}))
	requireActs(t, d.Engine, once.Sid, secretOf("one"))
	require.Empty(t, d.must("apikey.replace-secret", once.Sid, fields{"secret": secretOf("one")}).Events)
}

func TestAccessIsTheAccountsOwnBusiness(t *testing.T) {
	d := openDesk(t, withVault)
	stranger := domain.SID("AC", "stranger")
	d.must("account.create", stranger, fields{})
	key := d.must("apikey.create", "", fields{"secret": secretOf("key")}).Sid
	cr := d.must("credential.create", "", fields{"type": "fcm"}).Sid
	for _, c := range []engine.Command{
		command(t, "apikey.replace-secret", key, fields{"secret": secretOf("stolen")}),
		command(t, "apikey.revoke", key, fields{}),
		command(t, "credential.update", cr, fields{"friendly_name": "mine"}),
		command(t, "credential.remove", cr, fields{}),
		command(t, "account.set-auth-token", account, fields{"secret": secretOf("stolen")}),
		command(t, "account.configure-webhooks", account, fields{"method": "GET"}),
	} {
		foreign := c
		foreign.Account = stranger
		require.Equal(t, 20404, d.refused("not_found", foreign).Twilio, c.Type)
		c.Actor = events.Actor{Kind: events.ActorUser, ID: "alice"}
		require.Equal(t, 50107, d.refused("permission_denied", c).Twilio, c.Type)
	}
	for _, c := range []engine.Command{
		command(t, "apikey.create", "", fields{"secret": secretOf("key")}),
		command(t, "credential.create", "", fields{"type": "fcm"}),
		command(t, "account.set-auth-token", domain.SID("AC", "nobody"), fields{"secret": secretOf("x")}),
	} {
		c.Account = domain.SID("AC", "nobody")
		require.Equal(t, 20404, d.refused(map[bool]string{true: "not_found", false: "account_not_found"}[c.Aggregate == ""], c).Twilio)
	}
	requireActs(t, d.Engine, key, secretOf("key"))
}

func TestAParentActsForItsSubAccountsAndNobodyElseDoes(t *testing.T) {
	d := openDesk(t)
	var (
		child, sibling   = domain.SID("AC", "child"), domain.SID("AC", "sibling")
		stranger, nobody = domain.SID("AC", "stranger"), domain.SID("AC", "nobody")
	)
	d.must("account.create", child, fields{"parent": account})
	d.must("account.create", sibling, fields{"parent": account})
	d.must("account.create", stranger, fields{})
	require.Equal(t, 20409, d.refused("parent_is_subaccount", command(t, "account.create", domain.SID("AC", "grandchild"), fields{"parent": child})).Twilio)
	require.Equal(t, 20404, d.refused("parent_not_found", command(t, "account.create", nobody, fields{"parent": domain.SID("AC", "absent")})).Twilio)
	require.Equal(t, 20404, d.refused("parent_not_found", command(t, "account.create", nobody, fields{"parent": nobody})).Twilio)
	d.refused("account_exists", command(t, "account.create", stranger, fields{"parent": account}))

	home := map[string]string{}
	for _, a := range []string{account, child, sibling, stranger} {
		p, err := d.Place(t.Context(), a, "")
		require.NoError(t, err)
		require.Equal(t, a, p.Account)
		require.True(t, domain.IsSID("IS", p.Service))
		home[a] = p.Service
	}
	names := map[string]string{account: "parent", child: "child", sibling: "sibling", stranger: "stranger", nobody: "nobody", "": "no account"}
	for acting := range names {
		for owner, service := range home {
			t.Run(names[acting]+" for "+names[owner], func(t *testing.T) {
				allowed := acting == owner || acting == account && (owner == child || owner == sibling)
				p, err := d.Place(t.Context(), acting, service)
				if allowed {
					require.NoError(t, err)
					require.Equal(t, engine.Place{Account: owner, Service: service}, p)
					require.NoError(t, d.ActFor(t.Context(), acting, owner))
					return
				}
				require.Equal(t, 20404, engine.AsFailure(err).Twilio)
				require.Equal(t, 20404, engine.AsFailure(d.ActFor(t.Context(), acting, owner)).Twilio)
			})
		}
	}
	for _, owner := range []string{nobody, "", "AC", home[account]} {
		require.Equal(t, 20404, engine.AsFailure(d.ActFor(t.Context(), account, owner)).Twilio, owner)
	}
	for _, service := range []string{domain.SID("IS", "nowhere"), "x", account} {
		_, err := d.Place(t.Context(), account, service)
		require.Equal(t, 20404, engine.AsFailure(err).Twilio, service)
	}
	_, err := d.Place(t.Context(), nobody, "")
	require.Equal(t, 20404, engine.AsFailure(err).Twilio)
}

func TestOnlyParticipantsRead(t *testing.T) {
	d := openDesk(t)
	ch := d.must("conversation.create", "", fields{}).Sid
	d.must("conversation.add-participant", ch, fields{"identity": "alice"})
	here, err := d.Place(t.Context(), account, "")
	require.NoError(t, err)
	elsewhere := engine.Place{Account: account, Service: d.must("service.create", "", fields{"friendly_name": "other"}).Sid}

	require.NoError(t, d.MayRead(t.Context(), here, "alice", ch))
	require.NoError(t, d.MayRead(t.Context(), here, "", ch), "the server reads everything")
	require.Equal(t, 50430, engine.AsFailure(d.MayRead(t.Context(), here, "mallory", ch)).Twilio)
	nowhere := func() (codes [2][]int) {
		for i, identity := range []string{"", "alice"} {
			for _, err := range []error{
				d.MayRead(t.Context(), elsewhere, identity, ch),
				d.MayRead(t.Context(), engine.Place{Account: domain.SID("AC", "x"), Service: here.Service}, identity, ch),
				d.MayRead(t.Context(), here, identity, domain.SID("CH", "absent")),
				d.MayRead(t.Context(), here, identity, ""),
			} {
				codes[i] = append(codes[i], engine.AsFailure(err).Twilio)
			}
		}
		return codes
	}
	require.Equal(t, [2][]int{{20404, 20404, 20404, 20404}, {50430, 50430, 50430, 50430}}, nowhere(), "a user learns nothing by asking")
	d.must("conversation.remove", ch, fields{})
	require.Equal(t, 50430, engine.AsFailure(d.MayRead(t.Context(), here, "alice", ch)).Twilio)
	require.Equal(t, 20404, engine.AsFailure(d.MayRead(t.Context(), here, "", ch)).Twilio)
}

func TestReferencesAreFoundInTheirService(t *testing.T) {
	d := newDesk(t, memstore.New())
	d.must("account.create", account, fields{})
	here, err := d.Place(t.Context(), account, "")
	require.NoError(t, err)
	elsewhere := engine.Place{Account: account, Service: d.must("service.create", "", fields{"friendly_name": "other"}).Sid}
	ch := d.must("conversation.create", "", fields{"unique_name": "order"}).Sid
	us := d.must("user.create", "", fields{"identity": "alice"}).Sid
	found := func(p engine.Place, ref string) (string, string) {
		conversation, err := d.ConversationSid(t.Context(), p, ref)
		require.NoError(t, err)
		user, err := d.UserSid(t.Context(), p, ref)
		if err != nil {
			require.Equal(t, 20404, engine.AsFailure(err).Twilio)
			user = ""
		}
		return conversation, user
	}
	expect := func(p engine.Place, ref, conversation, user string) {
		t.Helper()
		gotConversation, gotUser := found(p, ref)
		require.Equal(t, []string{conversation, user}, []string{gotConversation, gotUser}, "%q", ref)
	}
	expect(here, "order", ch, "")
	expect(here, "alice", "", us)
	expect(here, ch, ch, "")
	expect(here, us, "", us)
	expect(elsewhere, "order", "", "")
	expect(elsewhere, "alice", "", "")
	expect(here, "", "", "")
	expect(here, "Order", "", "")

	d.must("conversation.update", ch, fields{"unique_name": "other"})
	expect(here, "order", "", "")
	expect(here, "other", ch, "")
	d.must("conversation.remove", ch, fields{})
	d.must("user.remove", us, fields{})
	expect(here, "other", "", "")
	expect(here, "alice", "", "")
}
