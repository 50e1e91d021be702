package projections_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

func TestTenancyRows(t *testing.T) {
	rm := given(t,
		events.AccountCreated{Account: account, FriendlyName: "Acme", At: minute(0)},
		events.AccountConfigured{DefaultService: service, DefaultTimers: events.Timers{Closed: "P1D"}, At: minute(1)},
		events.MessagingServiceAdded{MessagingService: "MG1", Senders: []string{"+1"}, At: minute(2)},
		events.MessagingServiceAdded{MessagingService: "MG1", Senders: []string{"+1", "+2"}, At: minute(3)},
		events.ServiceCreated{Service: service, Account: account, FriendlyName: "S", At: minute(0)},
		events.ServiceConfigured{CreatorRole: "RL1", ConversationRole: "RL2", ServiceRole: "RL3", ReachabilityEnabled: true, At: minute(1)},
		events.RoleCreated{Role: rl, Account: account, Service: service, FriendlyName: "guest", Type: events.RoleService, Permissions: []string{"a"}, At: minute(0)},
		events.RolePermissionsReplaced{Permissions: []string{"b", "c"}, At: minute(1)},
		events.UserCreated{User: us, Account: account, Service: service, Identity: "alba", At: minute(0)},
		events.UserFriendlyNameChanged{FriendlyName: "Alba", At: minute(1)},
		events.UserAttributesChanged{Attributes: `{"k":2}`, At: minute(2)},
		events.UserRoleChanged{Role: rl, At: minute(3)})
	a, err := rm.Account(t.Context(), account)
	require.NoError(t, err)
	require.Equal(t, []string{"Acme", service, "P1D"}, []string{a.FriendlyName, a.DefaultChatServiceSid, a.DefaultClosedTimer})
	mg, err := rm.MessagingServices(t.Context(), account, projections.Page{})
	require.NoError(t, err)
	require.Len(t, mg.Items, 1)
	require.Equal(t, []string{"+1", "+2"}, mg.Items[0].Senders)
	s, err := rm.Service(t.Context(), service)
	require.NoError(t, err)
	require.Equal(t, []string{"RL1", "RL2", "RL3"}, []string{s.DefaultConversationCreatorRoleSid, s.DefaultConversationRoleSid, s.DefaultChatServiceRoleSid})
	require.True(t, s.ReachabilityEnabled)
	r, err := rm.Role(t.Context(), rl)
	require.NoError(t, err)
	require.Equal(t, []string{"b", "c"}, r.Permissions)
	u, err := rm.User(t.Context(), service, "alba")
	require.NoError(t, err)
	require.Equal(t, []string{us, "Alba", `{"k":2}`, rl}, []string{u.Sid, u.FriendlyName, u.Attributes, u.RoleSid})
	for _, list := range []func() (int, error){
		func() (int, error) { l, err := rm.Accounts(t.Context(), projections.Page{}); return len(l.Items), err },
		func() (int, error) {
			l, err := rm.Services(t.Context(), account, projections.Page{})
			return len(l.Items), err
		},
		func() (int, error) {
			l, err := rm.Roles(t.Context(), service, projections.Page{})
			return len(l.Items), err
		},
		func() (int, error) {
			l, err := rm.Users(t.Context(), service, projections.Page{})
			return len(l.Items), err
		},
	} {
		n, err := list()
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
}

// What an import brought began when it began where it comes from.
func TestImportedUsersRolesAndServicesKeepTheirDates(t *testing.T) {
	log := memstore.New()
	rm := open(t, t.TempDir(), log, nil)
	restored := events.Metadata{Occurred: minute(-1000), Account: account, Actor: events.Actor{Kind: events.ActorImport}}
	asAPI := restored
	asAPI.Actor.Kind = events.ActorAPI
	var last events.Position
	for i, e := range []struct {
		stream   string
		event    events.Event
		metadata events.Metadata
	}{
		{"service-" + service, events.ServiceCreated{Service: service, Account: account, At: minute(1)}, restored},
		{"role-" + rl, events.RoleCreated{Role: rl, Account: account, Service: service, Type: events.RoleService, At: minute(1)}, restored},
		{"user-" + us, events.UserCreated{User: us, Account: account, Service: service, Identity: "alba", At: minute(1)}, restored},
		{"user-US2", events.UserCreated{User: "US2", Account: account, Service: service, Identity: "bo", At: minute(1)}, asAPI},
	} {
		kind, data, err := events.Vocabulary().Encode(e.event)
		require.NoError(t, err)
		appended, err := log.Append(t.Context(), e.stream, store.NoStream, []events.Proposed{
			{ID: events.EventID(events.NameID("import"), i), Type: kind, Data: data, Metadata: e.metadata},
		})
		require.NoError(t, err)
		last = appended.Position
	}
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, last))
	s, err := rm.Service(t.Context(), service)
	require.NoError(t, err)
	r, err := rm.Role(t.Context(), rl)
	require.NoError(t, err)
	u, err := rm.User(t.Context(), service, "alba")
	require.NoError(t, err)
	bo, err := rm.User(t.Context(), service, "bo")
	require.NoError(t, err)
	require.Equal(t, []time.Time{minute(-1000), minute(-1000), minute(-1000), minute(1)},
		[]time.Time{s.DateCreated, r.DateCreated, u.DateCreated, bo.DateCreated})
}

func TestRemovedUsersRolesAndServicesAreGoneAndParticipantsStay(t *testing.T) {
	rm := given(t, created(), joined(alba, "alba", "", 1),
		events.UserCreated{User: us, Account: account, Service: service, Identity: "alba"}, events.UserRemoved{},
		events.RoleCreated{Role: rl, Account: account, Service: service, Type: events.RoleService}, events.RoleRemoved{},
		events.ServiceCreated{Service: service, Account: account}, events.ServiceRemoved{At: minute(2)})
	for table, want := range map[string]int64{"user": 0, "role": 0, "service": 1, "participant": 1} {
		require.Equal(t, want, rowsOf(t, rm, table), table)
	}
	_, err := rm.Service(t.Context(), service)
	require.ErrorIs(t, err, projections.ErrNotFound)
	list, err := rm.Services(t.Context(), account, projections.Page{})
	require.NoError(t, err)
	require.Empty(t, list.Items)
	removed, err := rm.RemovedServices(t.Context(), projections.Page{})
	require.NoError(t, err)
	require.Len(t, removed.Items, 1)
	require.Equal(t, minute(2), removed.Items[0].DateRemoved)
}

func TestAccountRowsHaveParentAndWebhooksAndNoSecrets(t *testing.T) {
	webhooks := events.WebhookConfiguration{Method: "POST", Filters: []string{"onMessageAdded"}, PostWebhookURL: "https://a.example", Target: "webhook"}
	history := []events.Event{
		events.AccountCreated{Account: account, Parent: "AC0", At: minute(0)},
		events.AccountWebhooksConfigured{Webhooks: webhooks, At: minute(1)},
		events.AccountAuthTokenSet{Hash: "sha256$00", Sealed: "x", At: minute(2)},
	}
	a, err := given(t, history...).Account(t.Context(), account)
	require.NoError(t, err)
	require.Equal(t, "AC0", a.ParentSid)
	require.Equal(t, webhooks, a.Webhooks)
	require.Equal(t, minute(1), a.DateUpdated, "a token is nothing that shows")
	require.Equal(t, uint64(2), a.LastRevision)
	require.Equal(t, events.At(3), a.Position)

	a, err = given(t, append(history, events.AccountWebhooksConfigured{At: minute(3)})...).Account(t.Context(), account)
	require.NoError(t, err)
	require.Zero(t, a.Webhooks)
}

func TestServiceRowsHaveWebhooksAndNotificationsUntilTheEndAndAfter(t *testing.T) {
	webhooks := events.WebhookConfiguration{Method: "GET", PreWebhookURL: "https://a.example"}
	notifications := events.Notifications{NewMessage: events.Notification{Enabled: true, Template: "T", Sound: "ping"}, BadgeCountEnabled: true}
	history := []events.Event{
		events.ServiceCreated{Service: service, Account: account, FriendlyName: "S", At: minute(0)},
		events.ServiceWebhooksConfigured{Webhooks: webhooks, At: minute(1)},
		events.ServiceNotificationsConfigured{Notifications: notifications, At: minute(2)},
	}
	s, err := given(t, history...).Service(t.Context(), service)
	require.NoError(t, err)
	require.Equal(t, webhooks, s.Webhooks)
	require.Equal(t, notifications, s.Notifications)
	require.Equal(t, minute(2), s.DateUpdated)

	list, err := given(t, append(history, events.ServiceRemoved{At: minute(3)})...).RemovedServices(t.Context(), projections.Page{})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	s.DateRemoved, s.LastRevision, s.Position = minute(3), 3, events.At(4)
	require.Equal(t, s, list.Items[0])
}
