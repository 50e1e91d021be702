package rest_test

import (
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

func judgeScopedWebhooks(j *judge) {
	in := j.conversation()
	made := j.do("CreateConversationScopedWebhook", []string{in}, params{
		"Target": "webhook", "Configuration.Url": "https://example.com/w", "Configuration.Method": "GET",
		"Configuration.Filters": []string{"onMessageAdded", "onConversationStateUpdated"}, "Configuration.ReplayAfter": 7,
	})
	sid := j.sid("WH", made)
	j.serviceFormOnly(made)
	j.recent(made["date_created"])
	require.Equal(j.t, in, made["conversation_sid"])
	require.Equal(j.t, "webhook", made["target"])
	require.Equal(j.t, j.root()+"/Conversations/"+in+"/Webhooks/"+sid, made["url"])
	require.Equal(j.t, map[string]any{
		"url": "https://example.com/w", "method": "get", "filters": []any{"onMessageAdded", "onConversationStateUpdated"}, "replay_after": float64(7),
	}, made["configuration"])
	trigger := j.do("CreateConversationScopedWebhook", []string{in}, params{
		"Target": "trigger", "Configuration.Url": "https://example.com/t", "Configuration.Triggers": []string{"help", "stop"},
	})
	require.Equal(j.t, map[string]any{
		"url": "https://example.com/t", "method": "post", "filters": []any{"help", "stop"}, "triggers": []any{"help", "stop"},
	}, trigger["configuration"])
	studio := j.do("CreateConversationScopedWebhook", []string{in}, params{"Target": "studio", "Configuration.FlowSid": "FW" + strings.Repeat("1", 32)})
	require.Equal(j.t, map[string]any{"flow_sid": "FW" + strings.Repeat("1", 32)}, studio["configuration"])

	changed := j.do("UpdateConversationScopedWebhook", []string{in, sid}, params{
		"Configuration.Url": "https://example.com/other", "Configuration.Method": "post", "Configuration.Filters": []string{"onMessageRemoved"},
	})
	require.Equal(j.t, map[string]any{
		"url": "https://example.com/other", "method": "post", "filters": []any{"onMessageRemoved"}, "replay_after": float64(7),
	}, changed["configuration"])
	require.Equal(j.t, changed, j.do("FetchConversationScopedWebhook", []string{in, sid}, nil))
	require.Equal(j.t, []string{sid, str(trigger, "sid"), str(studio, "sid")}, sids(j.all("ListConversationScopedWebhook", []string{in}, nil)))
	j.do("DeleteConversationScopedWebhook", []string{in, sid}, nil)
	j.gone("FetchConversationScopedWebhook", in, sid)
}

func judgeTogether(j *judge) {
	phone := number()
	made := j.do("CreateConversationWithParticipants", nil, params{
		"FriendlyName": "All at once", "MessagingServiceSid": messagingService, "Timers.Inactive": "P1D", "Attributes": `{"x":1}`,
		"X-Twilio-Webhook-Enabled": "true", "Participant": []string{
			`{"identity":"carol","attributes":"{\"a\":1}"}`,
			`{"messaging_binding":{"address":"` + phone + `","proxy_address":"` + ourNumber + `"},"date_created":"2020-01-01T00:00:00Z"}`,
		},
	})
	sid := j.sid("CH", made)
	j.serviceNamed(made)
	require.Equal(j.t, "active", made["state"])
	require.Equal(j.t, "All at once", made["friendly_name"])
	url := j.root() + "/Conversations/" + sid
	require.Equal(j.t, url, made["url"])
	require.Equal(j.t, map[string]any{"participants": url + "/Participants", "messages": url + "/Messages", "webhooks": url + "/Webhooks"}, made["links"], "and no export")
	list := j.all("ListConversationParticipant", []string{sid}, nil)
	require.Len(j.t, list, 2)
	for _, p := range list {
		if p["identity"] == "carol" {
			j.attributes(p, `{"a":1}`)
			continue
		}
		require.Equal(j.t, phone, str(p, "messaging_binding", "address"))
		require.Equal(j.t, "2020-01-01T00:00:00Z", p["date_created"])
	}
}

func judgeParticipantConversations(j *judge) {
	made := j.do("CreateConversation", nil, params{"UniqueName": "lookup", "FriendlyName": "Look-up", "MessagingServiceSid": messagingService, "Attributes": `{"l":1}`})
	in, phone := str(made, "sid"), number()
	dave := str(j.do("CreateConversationParticipant", []string{in}, params{"Identity": "dave+1@example.com"}), "sid")
	outside := str(j.do("CreateConversationParticipant", []string{in}, params{"MessagingBinding.Address": phone, "MessagingBinding.ProxyAddress": ourNumber}), "sid")
	j.do("UpdateConversation", []string{in}, params{"State": "closed"})

	url := j.root() + "/Conversations/" + in
	user := str(j.do("FetchUser", []string{"dave+1@example.com"}, nil), "sid")
	require.Len(j.t, j.all("ListParticipantConversation", nil, params{"Identity": "dave+1@example.com"}), 1)
	page, err := j.page("ListParticipantConversation", nil, params{"Identity": "dave+1@example.com"}, "")
	require.NoError(j.t, err)
	found := page["conversations"].([]any)[0].(map[string]any)
	j.recent(found["conversation_date_created"])
	j.recent(found["conversation_date_updated"])
	delete(found, "conversation_date_created")
	delete(found, "conversation_date_updated")
	require.Equal(j.t, map[string]any{
		"account_sid": j.account, "chat_service_sid": j.home(), "participant_sid": dave, "participant_user_sid": user,
		"participant_identity": "dave+1@example.com", "participant_messaging_binding": nil, "conversation_sid": in, "conversation_unique_name": "lookup",
		"conversation_friendly_name": "Look-up", "conversation_attributes": `{"l":1}`, "conversation_created_by": "system",
		"conversation_state": "closed", "conversation_timers": map[string]any{},
		"links": map[string]any{"participant": url + "/Participants/" + dave, "conversation": url},
	}, found)
	byAddress := j.all("ListParticipantConversation", nil, params{"Address": phone})
	require.Len(j.t, byAddress, 1)
	require.Equal(j.t, outside, byAddress[0]["participant_sid"])
	require.Nil(j.t, byAddress[0]["participant_user_sid"])
	require.Equal(j.t, map[string]any{
		"type": "sms", "address": phone, "proxy_address": ourNumber, "level": nil, "name": nil, "projected_address": nil,
	}, byAddress[0]["participant_messaging_binding"])
	require.Empty(j.t, j.all("ListParticipantConversation", nil, params{"Address": number()}))
}

func judgeRoles(j *judge) {
	made := j.do("CreateRole", nil, params{"FriendlyName": "moderator", "Type": "Conversation", "Permission": []string{"sendMessage", "deleteAnyMessage"}})
	sid := j.sid("RL", made)
	j.serviceNamed(made)
	j.recent(made["date_created"])
	require.Equal(j.t, "moderator", made["friendly_name"])
	require.Equal(j.t, "conversation", made["type"], "names of enumerations are taken in any case")
	require.Equal(j.t, []any{"sendMessage", "deleteAnyMessage"}, made["permissions"])
	require.Equal(j.t, j.root()+"/Roles/"+sid, made["url"])
	changed := j.do("UpdateRole", []string{sid}, params{"Permission": []string{"leaveConversation"}})
	require.Equal(j.t, []any{"leaveConversation"}, changed["permissions"], "the full set is replaced")
	require.Equal(j.t, changed, j.do("FetchRole", []string{sid}, nil))
	var names []string
	for _, role := range j.all("ListRole", nil, nil) {
		names = append(names, str(role, "friendly_name"))
	}
	require.Subset(j.t, names, []string{"service admin", "service user", "channel admin", "channel user", "moderator"})
	j.do("DeleteRole", []string{sid}, nil)
	j.gone("FetchRole", sid)
}

func judgeUsers(j *judge) {
	made := j.do("CreateUser", nil, params{"Identity": "Erin", "FriendlyName": "Erin E.", "Attributes": `{"e": true}`, "X-Twilio-Webhook-Enabled": "true"})
	sid := j.sid("US", made)
	j.serviceNamed(made)
	j.recent(made["date_created"])
	require.Equal(j.t, "Erin", made["identity"])
	require.Equal(j.t, "Erin E.", made["friendly_name"])
	j.attributes(made, `{"e": true}`)
	require.Equal(j.t, j.within(j.home()).do("FetchServiceConfiguration", nil, nil)["default_chat_service_role_sid"], made["role_sid"])
	require.Nil(j.t, made["is_online"])
	require.Nil(j.t, made["is_notifiable"])
	require.Equal(j.t, j.root()+"/Users/"+sid, made["url"])
	require.Equal(j.t, map[string]any{"user_conversations": j.root() + "/Users/" + sid + "/Conversations"}, made["links"])
	plain := j.do("CreateUser", nil, params{"Identity": "erin"})
	require.Nil(j.t, plain["friendly_name"])
	j.attributes(plain, "{}")

	role := str(j.do("CreateRole", nil, params{"FriendlyName": "boss", "Type": "service", "Permission": []string{"createConversation"}}), "sid")
	changed := j.do("UpdateUser", []string{"Erin"}, params{"FriendlyName": "E.", "Attributes": "{}", "RoleSid": role})
	require.Equal(j.t, "E.", changed["friendly_name"])
	require.Equal(j.t, role, changed["role_sid"])
	require.Equal(j.t, changed, j.do("FetchUser", []string{sid}, nil))
	require.Equal(j.t, changed, j.do("FetchUser", []string{"Erin"}, nil), "by identity, which is case-sensitive")
	listed := sids(j.all("ListUser", nil, nil))
	require.Contains(j.t, listed, sid)
	require.Contains(j.t, listed, plain["sid"])
	j.do("DeleteUser", []string{"Erin"}, nil)
	j.gone("FetchUser", sid)
	require.Equal(j.t, plain["sid"], j.do("FetchUser", []string{"erin"}, nil)["sid"])
}

func judgeUserConversations(j *judge) {
	made := j.do("CreateConversation", nil, params{"UniqueName": "frank's", "FriendlyName": "F", "Attributes": `{"f":1}`, "Timers.Closed": "P1D"})
	in := str(made, "sid")
	member := str(j.do("CreateConversationParticipant", []string{in}, params{"Identity": "frank"}), "sid")
	user := str(j.do("FetchUser", []string{"frank"}, nil), "sid")
	got := j.do("FetchUserConversation", []string{user, in}, nil)
	url := j.root() + "/Conversations/" + in
	require.Equal(j.t, map[string]any{
		"account_sid": j.account, "chat_service_sid": j.home(), "conversation_sid": in, "participant_sid": member, "user_sid": user,
		"friendly_name": "F", "unique_name": "frank's", "attributes": `{"f":1}`, "conversation_state": "active", "timers": got["timers"],
		"created_by": "system", "notification_level": "default", "last_read_message_index": nil, "unread_messages_count": nil,
		"last_activity": got["last_activity"], "last_message": nil, // ours
		"date_created": made["date_created"], "date_updated": got["date_updated"], "url": j.root() + "/Users/" + user + "/Conversations/" + in,
		"links": map[string]any{"participant": url + "/Participants/" + member, "conversation": url},
	}, got)
	require.NotEmpty(j.t, str(got, "timers", "date_closed"))
	var messages []string
	for range 4 {
		messages = append(messages, str(j.do("CreateConversationMessage", []string{in}, params{"Body": "m"}), "sid"))
	}
	require.Nil(j.t, j.do("FetchUserConversation", []string{"frank", in}, nil)["unread_messages_count"], "null until a horizon is set")
	changed := j.do("UpdateUserConversation", []string{"frank", "frank's"}, params{
		"NotificationLevel": "Muted", "LastReadMessageIndex": 1, "LastReadTimestamp": time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC),
	})
	require.Equal(j.t, "muted", changed["notification_level"])
	require.EqualValues(j.t, 1, changed["last_read_message_index"])
	require.EqualValues(j.t, 2, changed["unread_messages_count"])
	j.do("DeleteConversationMessage", []string{in, messages[2]}, nil)
	list := j.all("ListUserConversation", []string{"frank"}, nil)
	require.Len(j.t, list, 1)
	require.EqualValues(j.t, 1, list[0]["unread_messages_count"], "messages are counted, indices are not subtracted")
	seen := j.do("FetchConversationParticipant", []string{in, "frank"}, nil)
	require.EqualValues(j.t, 1, seen["last_read_message_index"], "two views of one value")
	require.Equal(j.t, "2026-02-03T04:05:06Z", seen["last_read_timestamp"])
	for _, none := range []string{"", "null"} { // which the library cannot send
		j.do("UpdateUserConversation", []string{user, in}, params{"LastReadMessageIndex": 0})
		cleared := j.must("POST", strings.TrimPrefix(str(got, "url"), j.server.URL), form("LastReadMessageIndex", none))
		require.Nil(j.t, cleared.body["last_read_message_index"])
		require.Nil(j.t, cleared.body["unread_messages_count"])
	}
	j.do("DeleteUserConversation", []string{user, in}, nil)
	j.gone("FetchUserConversation", user, in)
	j.gone("FetchConversationParticipant", in, member)
}
