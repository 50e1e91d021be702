package rest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
)

// The words of whoever moves here from Programmable Chat, one test for each.

func TestRetrieveAllConversations(t *testing.T) {
	w := newWorld(t)
	j := w.judge(t)
	var made []string
	for range 120 {
		made = append(made, w.must("POST", "/v1/Conversations", nil).str("sid"))
	}
	require.Equal(t, made, sids(j.all("ListConversation", nil, nil)), "over several pages")
	require.Equal(t, made, sids(j.within(w.service).all("ListConversation", nil, nil)), "and in the service form")
}

func TestFetchAConversationByItsSID(t *testing.T) {
	w := newWorld(t)
	j := w.judge(t)
	made := j.do("CreateConversation", nil, params{"FriendlyName": "Hello"})
	require.Equal(t, made, j.do("FetchConversation", []string{str(made, "sid")}, nil))
	_, err := j.try("FetchConversation", []string{nothing("CH")}, nil)
	got := requireRefused(t, err, 404, 20404)
	require.Equal(t, "The requested resource /v1/Conversations/"+nothing("CH")+" was not found", got.Message)
}

func TestTheTwoFormsShowTheSameDataOfTheDefaultService(t *testing.T) {
	w := newWorld(t)
	w.attachable()
	j := w.judge(t)
	in := j.conversation()
	j.do("CreateConversationParticipant", []string{in}, chat("alice"))
	message := str(j.do("CreateConversationMessage", []string{in}, params{"Author": "alice", "Body": "m"}), "sid")
	service := j.within(w.service)
	for _, c := range []struct {
		operation string
		path      []string
		named     bool // the service form alone names the service
	}{
		{"FetchConversation", []string{in}, false},
		{"FetchConversationParticipant", []string{in, "alice"}, true},
		{"FetchConversationMessage", []string{in, message}, true},
		{"FetchUser", []string{"alice"}, false},
		{"FetchUserConversation", []string{"alice", in}, false},
	} {
		account, other := j.do(c.operation, c.path, nil), service.do(c.operation, c.path, nil)
		require.NotEqual(t, account["url"], other["url"])
		for _, v := range []map[string]any{account, other} {
			delete(v, "url")
			delete(v, "links")
			delete(v, "last_message") // of its own form, as below
		}
		if c.named {
			require.Equal(t, w.service, other["chat_service_sid"])
			delete(other, "chat_service_sid")
		}
		require.Equal(t, account, other, c.operation)
	}
}

func TestAllConversationsArePrivate(t *testing.T) {
	w := newWorld(t)
	w.attachable()
	w.signs()
	j := w.judge(t)
	made := j.do("CreateConversation", nil, params{"UniqueName": "secret", "MessagingServiceSid": messagingService})
	in := str(made, "sid")
	j.do("CreateConversationParticipant", []string{in}, chat("alice"))
	member := str(j.do("CreateConversationParticipant", []string{in}, sms(number())), "sid")
	message := str(j.do("CreateConversationMessage", []string{in}, params{"Body": "for alice"}), "sid")
	j.do("CreateUser", nil, params{"Identity": "mallet"})
	alice, mallet := w.guest(t, w.accessToken("", "alice")), w.guest(t, w.accessToken("", "mallet"))

	require.Equal(t, made, alice.do("FetchConversation", []string{in}, nil))
	require.Equal(t, []string{in}, sids(alice.all("ListConversation", nil, nil)))
	require.Len(t, alice.all("ListConversationMessage", []string{in}, nil), 1)

	require.Empty(t, mallet.all("ListConversation", nil, nil))
	require.Empty(t, mallet.all("ListUserConversation", []string{"mallet"}, nil))
	require.Empty(t, mallet.all("ListParticipantConversation", nil, params{"Identity": "mallet"}))
	for _, attempt := range []struct {
		operation string
		path      []string
		p         params
	}{
		{"FetchConversation", []string{in}, nil},
		{"FetchConversation", []string{"secret"}, nil},
		{"ListConversationMessage", []string{in}, nil},
		{"FetchConversationMessage", []string{in, message}, nil},
		{"ListConversationMessageReceipt", []string{in, message}, nil},
		{"ListConversationParticipant", []string{in}, nil},
		{"FetchConversationParticipant", []string{in, member}, nil},
		{"CreateConversationMessage", []string{in}, params{"Body": "let me in"}},
		{"UpdateConversationMessage", []string{in, message}, params{"Body": "for mallet"}},
		{"DeleteConversationMessage", []string{in, message}, nil},
		{"UpdateConversation", []string{in}, params{"FriendlyName": "mine"}},
		{"DeleteConversation", []string{in}, nil},
		{"DeleteConversationParticipant", []string{in, "alice"}, nil},
		{"UpdateUserConversation", []string{"mallet", in}, params{"NotificationLevel": "muted"}},
		{"FetchUserConversation", []string{"mallet", in}, nil},
	} {
		before := w.events()
		_, err := mallet.try(attempt.operation, attempt.path, attempt.p)
		requireRefused(t, err, 403, 50430)
		require.Equal(t, before, w.events(), attempt.operation)
	}
	_, err := mallet.try("ListUserConversation", []string{"alice"}, nil)
	requireRefused(t, err, 403, 20403)
	_, err = mallet.try("ListParticipantConversation", nil, params{"Identity": "alice"})
	requireRefused(t, err, 403, 20403)
	for _, absent := range []string{nothing("CH"), "secrets"} {
		_, err = mallet.try("FetchConversation", []string{absent}, nil)
		requireRefused(t, err, 403, 50430)
		_, err = mallet.try("UpdateConversation", []string{absent}, nil)
		requireRefused(t, err, 403, 50430)
	}
	j.do("CreateConversationParticipant", []string{in}, chat("mallet"))
	mallet.do("FetchConversation", []string{in}, nil)
}

func TestARoleThatInvitesMembersIsRefused(t *testing.T) {
	w := newWorld(t)
	j := w.judge(t)
	before := w.events()
	for _, kind := range []string{"conversation", "service"} {
		_, err := j.try("CreateRole", nil, params{"FriendlyName": "inviter", "Type": kind, "Permission": []string{"leaveConversation", "inviteMember"}})
		requireRefused(t, err, 400, 50104)
	}
	for _, role := range j.all("ListRole", nil, nil) {
		require.NotContains(t, role["permissions"], "inviteMember")
		_, err := j.try("UpdateRole", []string{str(role, "sid")}, params{"Permission": []string{"inviteMember"}})
		requireRefused(t, err, 400, 50104)
	}
	require.Equal(t, before, w.events())
}

func TestNobodyOutsideChatJoinsUntilAMessagingServiceIsAttached(t *testing.T) {
	w := newWorld(t)
	w.attachable()
	j := w.judge(t)
	migrated, someone := str(j.do("CreateConversation", nil, nil), "sid"), sms(number())
	j.do("CreateConversationParticipant", []string{migrated}, chat("alice"))
	j.do("CreateConversationMessage", []string{migrated}, params{"Author": "alice", "Body": "chat needs none"})
	_, err := j.try("CreateConversationParticipant", []string{migrated}, someone)
	requireRefused(t, err, 400, 50373)

	j.do("UpdateConfiguration", nil, params{"DefaultMessagingServiceSid": messagingService})
	_, err = j.try("CreateConversationParticipant", []string{migrated}, someone)
	requireRefused(t, err, 400, 50373)
	fresh := j.do("CreateConversation", nil, nil)
	require.Equal(t, messagingService, fresh["messaging_service_sid"], "the account's default is for new ones only")

	j.do("UpdateConversation", []string{migrated}, params{"MessagingServiceSid": messagingService})
	j.do("CreateConversationParticipant", []string{migrated}, someone)
	require.Equal(t, 201, j.wire.last().status)
}

func TestServicesAreIsolated(t *testing.T) {
	w := newWorld(t)
	w.attachable()
	admin := w.judge(t)
	one := admin.within(str(admin.do("CreateService", nil, params{"FriendlyName": "One"}), "sid"))
	two := admin.within(str(admin.do("CreateService", nil, params{"FriendlyName": "Two"}), "sid"))
	mine, theirs := furnish(one), furnish(two)
	require.NotEqual(t, mine.conversation, theirs.conversation, "the same unique name in two services")
	require.Equal(t, mine.conversation, str(one.do("FetchConversation", []string{"shared"}, nil), "sid"))
	require.Equal(t, theirs.conversation, str(two.do("FetchConversation", []string{"shared"}, nil), "sid"))
	for _, operation := range []string{"ListConversation", "ListUser"} {
		require.NotSubset(t, sids(one.all(operation, nil, nil)), sids(two.all(operation, nil, nil)))
		require.Len(t, one.all(operation, nil, nil), 1)
		require.Empty(t, admin.all(operation, nil, nil), "nor are they in the default service")
	}
	for _, role := range two.all("ListRole", nil, nil) {
		require.NotContains(t, sids(one.all("ListRole", nil, nil)), role["sid"])
	}
	found := one.all("ListParticipantConversation", nil, params{"Identity": "alice"})
	require.Len(t, found, 1)
	require.Equal(t, mine.conversation, found[0]["conversation_sid"])
	theirs.unreachable(one)
	theirs.unreachable(admin)
	_, err := one.try("UpdateServiceConfiguration", nil, params{"DefaultConversationRoleSid": theirs.role})
	requireRefused(t, err, 404, 50101)
	_, err = one.try("CreateUser", nil, params{"Identity": "bob", "RoleSid": theirs.role})
	requireRefused(t, err, 404, 50102)
}

func TestAccountsAreIsolated(t *testing.T) {
	w := newWorld(t)
	w.attachable()
	there := furnish(w.judge(t))
	other := *w
	other.account, other.token = domain.SID("AC", "other"), "fedcba9876543210fedcba9876543210"
	w.do("account.create", other.account, `{"friendly_name":"Other"}`)
	w.do("account.set-auth-token", other.account, `{"secret":"`+other.token+`"}`)
	stranger := other.judge(t)
	there.unreachable(stranger)
	require.Empty(t, stranger.all("ListConversation", nil, nil))
	require.Len(t, stranger.all("ListService", nil, nil), 1)
	for operation, path := range map[string][]string{
		"FetchService": {w.service}, "DeleteService": {w.service}, "FetchCredential": {there.credential}, "DeleteCredential": {there.credential},
		"FetchConfigurationAddress": {"+15550005000"}, "DeleteConfigurationAddress": {there.address},
	} {
		_, err := stranger.try(operation, path, nil)
		requireRefused(t, err, 404, 20404)
	}
	_, err := stranger.try("UpdateConfiguration", nil, params{"DefaultChatServiceSid": w.service})
	requireRefused(t, err, 404, 50050)
	_, err = stranger.try("CreateConversation", nil, params{"MessagingServiceSid": messagingService})
	requireRefused(t, err, 400, 50341)
	there.unreachable(stranger.within(w.service))
}

// furniture is one of everything in a service.
type furniture struct {
	conversation, participant, message, receipt, webhook, user, role, binding string
	credential, address                                                       string
}

func furnish(j *judge) (f furniture) {
	made := j.do("CreateConversation", nil, params{"UniqueName": "shared", "MessagingServiceSid": messagingService})
	f.conversation = str(made, "sid")
	f.participant = str(j.do("CreateConversationParticipant", []string{f.conversation}, chat("alice")), "sid")
	member := str(j.do("CreateConversationParticipant", []string{f.conversation}, sms(number())), "sid")
	f.message = str(j.do("CreateConversationMessage", []string{f.conversation}, params{"Body": "m"}), "sid")
	f.receipt = j.inService(j.home(), "conversation.record-delivery", f.conversation, `{"message":"`+f.message+`","participant":"`+member+`","status":"sent"}`).Sid
	f.webhook = str(j.do("CreateConversationScopedWebhook", []string{f.conversation}, params{"Target": "studio", "Configuration.FlowSid": nothing("FW")}), "sid")
	f.user = str(j.do("FetchUser", []string{"alice"}, nil), "sid")
	f.role = str(j.do("CreateRole", nil, params{"FriendlyName": "r", "Type": "conversation", "Permission": []string{"sendMessage"}}), "sid")
	f.binding = j.inService(j.home(), "binding.create", "", `{"identity":"alice","type":"fcm","endpoint":"e"}`).Sid
	if j.in == "" {
		f.credential = str(j.do("CreateCredential", nil, params{"Type": "fcm", "Secret": "s"}), "sid")
		f.address = str(j.do("CreateConfigurationAddress", nil, params{"Type": "sms", "Address": "+15550005000"}), "sid")
	}
	return f
}

// unreachable checks that none of the SIDs means anything to somebody else.
func (f furniture) unreachable(j *judge) {
	j.t.Helper()
	for _, c := range []struct {
		operation string
		path      []string
		p         params
	}{
		{"FetchConversation", []string{f.conversation}, nil},
		{"UpdateConversation", []string{f.conversation}, params{"FriendlyName": "f"}},
		{"DeleteConversation", []string{f.conversation}, nil},
		{"ListConversationParticipant", []string{f.conversation}, nil},
		{"CreateConversationParticipant", []string{f.conversation}, chat("mallet")},
		{"FetchConversationParticipant", []string{f.conversation, f.participant}, nil},
		{"DeleteConversationParticipant", []string{f.conversation, f.participant}, nil},
		{"ListConversationMessage", []string{f.conversation}, nil},
		{"CreateConversationMessage", []string{f.conversation}, params{"Body": "m"}},
		{"FetchConversationMessage", []string{f.conversation, f.message}, nil},
		{"DeleteConversationMessage", []string{f.conversation, f.message}, nil},
		{"ListConversationMessageReceipt", []string{f.conversation, f.message}, nil},
		{"FetchConversationMessageReceipt", []string{f.conversation, f.message, f.receipt}, nil},
		{"ListConversationScopedWebhook", []string{f.conversation}, nil},
		{"FetchConversationScopedWebhook", []string{f.conversation, f.webhook}, nil},
		{"FetchUser", []string{f.user}, nil},
		{"UpdateUser", []string{f.user}, params{"FriendlyName": "f"}},
		{"DeleteUser", []string{f.user}, nil},
		{"ListUserConversation", []string{f.user}, nil},
		{"FetchUserConversation", []string{f.user, f.conversation}, nil},
		{"FetchRole", []string{f.role}, nil},
		{"UpdateRole", []string{f.role}, params{"Permission": []string{"sendMessage"}}},
		{"DeleteRole", []string{f.role}, nil},
	} {
		f.refused(j, c.operation, c.path, c.p)
	}
	if j.in != "" {
		f.refused(j, "FetchBinding", []string{f.binding}, nil)
		f.refused(j, "DeleteBinding", []string{f.binding}, nil)
	}
}

func (f furniture) refused(j *judge, operation string, path []string, p params) {
	j.t.Helper()
	before := j.events()
	_, err := j.try(operation, path, p)
	require.Error(j.t, err, operation)
	requireRefused(j.t, err, 404, 20404)
	require.Equal(j.t, before, j.events(), operation)
}
