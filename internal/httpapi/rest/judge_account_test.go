package rest_test

import (
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

func judgeConfiguration(j *judge) {
	was := j.do("FetchConfiguration", nil, nil)
	url := j.server.URL + "/v1/Configuration"
	require.Equal(j.t, map[string]any{
		"account_sid": j.account, "default_chat_service_sid": j.service, "default_messaging_service_sid": nil,
		"default_inactive_timer": nil, "default_closed_timer": nil, "url": url,
		"links": map[string]any{"service": j.server.URL + "/v1/Services/" + j.service + "/Configuration", "webhooks": url + "/Webhooks"},
	}, was)
	changed := j.do("UpdateConfiguration", nil, params{
		"DefaultMessagingServiceSid": messagingService, "DefaultInactiveTimer": "P30D", "DefaultClosedTimer": "P365D", "DefaultChatServiceSid": j.service,
	})
	require.Equal(j.t, messagingService, changed["default_messaging_service_sid"])
	require.Equal(j.t, "P30D", changed["default_inactive_timer"])
	require.Equal(j.t, "P365D", changed["default_closed_timer"])
	made := j.do("CreateConversation", nil, nil)
	require.Equal(j.t, messagingService, made["messaging_service_sid"], "new conversations take the account's default")
	require.Equal(j.t, 365*24*time.Hour, j.instant(made, "timers", "date_closed").Sub(j.instant(made, "timers", "date_inactive")))
	j.do("DeleteConversation", []string{str(made, "sid")}, nil)
	back := j.do("UpdateConfiguration", nil, params{"DefaultMessagingServiceSid": "", "DefaultInactiveTimer": "PT0S", "DefaultClosedTimer": "PT0S"})
	require.Equal(j.t, was, back)
	j.moveDefault(was)
}

// moveDefault has the account form follow the account's default service.
func (j *judge) moveDefault(was map[string]any) {
	other := str(j.do("CreateService", nil, params{"FriendlyName": "Elsewhere"}), "sid")
	j.do("UpdateConfiguration", nil, params{"DefaultChatServiceSid": other})
	made := j.do("CreateConversation", nil, nil)
	require.Equal(j.t, other, made["chat_service_sid"])
	require.Equal(j.t, was, j.do("UpdateConfiguration", nil, params{"DefaultChatServiceSid": j.service}))
	j.gone("FetchConversation", str(made, "sid"))
	j.do("DeleteService", []string{other}, nil)
}

func judgeAccountWebhooks(j *judge) {
	was := j.do("FetchConfigurationWebhook", nil, nil)
	require.Equal(j.t, map[string]any{
		"account_sid": j.account, "method": "POST", "filters": []any{}, "pre_webhook_url": nil, "post_webhook_url": nil,
		"target": "webhook", "url": j.server.URL + "/v1/Configuration/Webhooks",
	}, was)
	changed := j.do("UpdateConfigurationWebhook", nil, params{
		"Method": "get", "Filters": []string{"onMessageAdd", "onMessageAdded"}, "PreWebhookUrl": "https://example.com/pre",
		"PostWebhookUrl": "https://example.com/post", "Target": "flex",
	})
	require.Equal(j.t, "GET", changed["method"])
	require.Equal(j.t, []any{"onMessageAdd", "onMessageAdded"}, changed["filters"])
	require.Equal(j.t, "https://example.com/pre", changed["pre_webhook_url"])
	require.Equal(j.t, "https://example.com/post", changed["post_webhook_url"])
	require.Equal(j.t, "flex", changed["target"])
	changed = j.do("UpdateConfigurationWebhook", nil, params{"Filters": []string{"onUserAdded"}})
	require.Equal(j.t, []any{"onUserAdded"}, changed["filters"], "the whole list is replaced")
	require.Equal(j.t, changed, j.do("FetchConfigurationWebhook", nil, nil))
}

func judgeAddresses(j *judge) {
	flow := "FW" + strings.Repeat("f", 32)
	hook := j.do("CreateConfigurationAddress", nil, params{
		"Type": "whAtsAPP", "Address": "whatsapp:+15550002000", "FriendlyName": "Hook", "AutoCreation.Enabled": true, "AutoCreation.Type": "webhook",
		"AutoCreation.ConversationServiceSid": j.service, "AutoCreation.WebhookUrl": "https://example.com/hook", "AutoCreation.WebhookMethod": "post",
		"AutoCreation.WebhookFilters": []string{"onMessageAdded", "onDeliveryUpdated"},
	})
	sid := j.sid("IG", hook)
	j.recent(hook["date_created"])
	require.Equal(j.t, "whatsapp", hook["type"])
	require.Equal(j.t, "whatsapp:+15550002000", hook["address"])
	require.Equal(j.t, "Hook", hook["friendly_name"])
	require.Nil(j.t, hook["address_country"])
	require.Equal(j.t, j.server.URL+"/v1/Configuration/Addresses/"+sid, hook["url"])
	require.Equal(j.t, map[string]any{
		"enabled": true, "type": "webhook", "conversation_service_sid": j.service, "webhook_url": "https://example.com/hook",
		"webhook_method": "POST", "webhook_filters": []any{"onMessageAdded", "onDeliveryUpdated"},
	}, hook["auto_creation"])
	studio := j.do("CreateConfigurationAddress", nil, params{
		"Type": "sms", "Address": "+15550002001", "AutoCreation.Enabled": true, "AutoCreation.Type": "studio",
		"AutoCreation.ConversationServiceSid": j.service, "AutoCreation.StudioFlowSid": flow, "AutoCreation.StudioRetryCount": 3,
	})
	require.Equal(j.t, map[string]any{
		"enabled": true, "type": "studio", "conversation_service_sid": j.service, "studio_flow_sid": flow, "studio_retry_count": float64(3),
	}, studio["auto_creation"])
	plain := j.do("CreateConfigurationAddress", nil, params{"Type": "sms", "Address": "12345", "AddressCountry": "US"})
	require.Equal(j.t, map[string]any{"enabled": false, "type": "default"}, plain["auto_creation"])
	require.Equal(j.t, "US", plain["address_country"])
	require.Nil(j.t, plain["friendly_name"])

	require.Equal(j.t, studio, j.do("FetchConfigurationAddress", []string{"+15550002001"}, nil), "by the address itself")
	changed := j.do("UpdateConfigurationAddress", []string{"+15550002001"}, params{"FriendlyName": "Later", "AutoCreation.Type": "default", "AutoCreation.ConversationServiceSid": ""})
	require.Equal(j.t, "Later", changed["friendly_name"])
	require.Equal(j.t, map[string]any{"enabled": true, "type": "default"}, changed["auto_creation"])
	require.Equal(j.t, changed, j.do("FetchConfigurationAddress", []string{str(studio, "sid")}, nil))
	require.Len(j.t, j.all("ListConfigurationAddress", nil, nil), 3)
	require.Equal(j.t, []string{str(studio, "sid"), str(plain, "sid")}, sids(j.all("ListConfigurationAddress", nil, params{"Type": "sms"})))
	j.do("DeleteConfigurationAddress", []string{sid}, nil)
	j.gone("FetchConfigurationAddress", sid)
	j.do("DeleteConfigurationAddress", []string{"12345"}, nil)
}

func judgeCredentials(j *judge) {
	apn := j.do("CreateCredential", nil, params{"Type": "APN", "FriendlyName": "Phones", "Certificate": "c", "PrivateKey": "p", "Sandbox": true})
	sid := j.sid("CR", apn)
	j.recent(apn["date_created"])
	delete(apn, "date_created")
	delete(apn, "date_updated")
	require.Equal(j.t, map[string]any{
		"sid": sid, "account_sid": j.account, "friendly_name": "Phones", "type": "apn", "sandbox": "True", "url": j.server.URL + "/v1/Credentials/" + sid,
	}, apn, "and no secrets")
	gcm := j.do("CreateCredential", nil, params{"Type": "GcM", "ApiKey": "k"})
	fcm := j.do("CreateCredential", nil, params{"Type": "fcm", "Secret": "s", "Sandbox": false})
	require.Equal(j.t, "gcm", gcm["type"])
	require.Equal(j.t, "False", fcm["sandbox"])
	require.Nil(j.t, fcm["friendly_name"])
	changed := j.do("UpdateCredential", []string{sid}, params{"FriendlyName": "Tablets", "Sandbox": false})
	require.Equal(j.t, "Tablets", changed["friendly_name"])
	require.Equal(j.t, "False", changed["sandbox"])
	require.Equal(j.t, changed, j.do("FetchCredential", []string{sid}, nil))
	require.Equal(j.t, []string{sid, str(gcm, "sid"), str(fcm, "sid")}, sids(j.all("ListCredential", nil, nil)))
	j.do("DeleteCredential", []string{sid}, nil)
	j.gone("FetchCredential", sid)
}

func judgeServices(j *judge) {
	made := j.do("CreateService", nil, params{"FriendlyName": "Sales"})
	sid := j.sid("IS", made)
	url := j.server.URL + "/v1/Services/" + sid
	require.Equal(j.t, "Sales", made["friendly_name"])
	require.Equal(j.t, url, made["url"])
	j.recent(made["date_created"])
	require.Equal(j.t, map[string]any{
		"conversations": url + "/Conversations", "users": url + "/Users", "roles": url + "/Roles", "bindings": url + "/Bindings",
		"configuration": url + "/Configuration", "participant_conversations": url + "/ParticipantConversations",
		"conversation_with_participants": url + "/ConversationWithParticipants",
	}, made["links"])
	require.Equal(j.t, made, j.do("FetchService", []string{sid}, nil))
	require.Equal(j.t, []string{j.service, sid}, sids(j.all("ListService", nil, nil)))
	j.do("DeleteService", []string{sid}, nil)
	j.gone("FetchService", sid)
	require.Equal(j.t, []string{j.service}, sids(j.all("ListService", nil, nil)))
}

func judgeServiceConfiguration(j *judge) {
	was := j.do("FetchServiceConfiguration", nil, nil)
	url := j.root() + "/Configuration"
	require.Equal(j.t, map[string]any{
		"chat_service_sid": j.in, "default_conversation_creator_role_sid": was["default_conversation_creator_role_sid"],
		"default_conversation_role_sid": was["default_conversation_role_sid"], "default_chat_service_role_sid": was["default_chat_service_role_sid"],
		"reachability_enabled": false, "url": url, "links": map[string]any{"notifications": url + "/Notifications", "webhooks": url + "/Webhooks"},
	}, was)
	roles := map[string]string{}
	for _, role := range j.all("ListRole", nil, nil) {
		roles[str(role, "friendly_name")] = str(role, "sid")
	}
	require.Equal(j.t, roles["channel admin"], was["default_conversation_creator_role_sid"])
	require.Equal(j.t, roles["channel user"], was["default_conversation_role_sid"])
	require.Equal(j.t, roles["service user"], was["default_chat_service_role_sid"])
	changed := j.do("UpdateServiceConfiguration", nil, params{
		"DefaultConversationCreatorRoleSid": roles["channel user"], "DefaultConversationRoleSid": roles["channel admin"],
		"DefaultChatServiceRoleSid": roles["service admin"], "ReachabilityEnabled": true,
	})
	require.Equal(j.t, roles["channel user"], changed["default_conversation_creator_role_sid"])
	require.Equal(j.t, roles["channel admin"], changed["default_conversation_role_sid"])
	require.Equal(j.t, roles["service admin"], changed["default_chat_service_role_sid"])
	require.Equal(j.t, true, changed["reachability_enabled"])
	require.Equal(j.t, changed, j.do("FetchServiceConfiguration", nil, nil))
}

func judgeNotifications(j *judge) {
	off := map[string]any{"enabled": false, "template": nil, "sound": nil}
	was := j.do("FetchServiceNotification", nil, nil)
	require.Equal(j.t, map[string]any{
		"account_sid": j.account, "chat_service_sid": j.in, "log_enabled": false, "url": j.root() + "/Configuration/Notifications",
		"new_message": map[string]any{
			"enabled": false, "template": nil, "sound": nil, "badge_count_enabled": false,
			"with_media": map[string]any{"enabled": false, "template": nil},
		},
		"added_to_conversation": off, "removed_from_conversation": off,
	}, was)
	changed := j.do("UpdateServiceNotification", nil, params{
		"LogEnabled": true, "NewMessage.Enabled": true, "NewMessage.Template": "${MESSAGE}", "NewMessage.Sound": "ding", "NewMessage.BadgeCountEnabled": true,
		"NewMessage.WithMedia.Enabled": true, "NewMessage.WithMedia.Template": "${MEDIA}", "AddedToConversation.Enabled": true,
		"AddedToConversation.Template": "in", "AddedToConversation.Sound": "a", "RemovedFromConversation.Enabled": true,
		"RemovedFromConversation.Template": "out", "RemovedFromConversation.Sound": "r",
	})
	require.Equal(j.t, true, changed["log_enabled"])
	require.Equal(j.t, map[string]any{
		"enabled": true, "template": "${MESSAGE}", "sound": "ding", "badge_count_enabled": true,
		"with_media": map[string]any{"enabled": true, "template": "${MEDIA}"},
	}, changed["new_message"])
	require.Equal(j.t, map[string]any{"enabled": true, "template": "in", "sound": "a"}, changed["added_to_conversation"])
	require.Equal(j.t, map[string]any{"enabled": true, "template": "out", "sound": "r"}, changed["removed_from_conversation"])
	require.Equal(j.t, changed, j.do("FetchServiceNotification", nil, nil))
}

func judgeServiceWebhooks(j *judge) {
	was := j.do("FetchServiceWebhookConfiguration", nil, nil)
	require.Equal(j.t, map[string]any{
		"account_sid": j.account, "chat_service_sid": j.in, "pre_webhook_url": nil, "post_webhook_url": nil, "filters": nil, "method": nil,
		"url": j.root() + "/Configuration/Webhooks",
	}, was, "what was never configured is null, and there is no target")
	changed := j.do("UpdateServiceWebhookConfiguration", nil, params{
		"Method": "POST", "Filters": []string{"onConversationStateUpdated"}, "PreWebhookUrl": "http://example.com/pre", "PostWebhookUrl": "https://example.com/post",
	})
	require.Equal(j.t, "POST", changed["method"])
	require.Equal(j.t, []any{"onConversationStateUpdated"}, changed["filters"])
	require.Equal(j.t, "http://example.com/pre", changed["pre_webhook_url"])
	require.Equal(j.t, "https://example.com/post", changed["post_webhook_url"])
	require.Equal(j.t, changed, j.do("FetchServiceWebhookConfiguration", nil, nil))
}

func judgeBindings(j *judge) {
	credential := str(j.inAccount("CreateCredential", params{"Type": "fcm", "Secret": "s"}), "sid")
	require.Empty(j.t, j.all("ListBinding", nil, nil))
	phone := j.inService(j.in, "binding.create", "", `{"identity":"alice","type":"fcm","endpoint":"token-1","credential":"`+credential+`","message_types":["new_message"]}`).Sid
	tablet := j.inService(j.in, "binding.create", "", `{"identity":"bob","type":"apn","endpoint":"token-2"}`).Sid
	got := j.do("FetchBinding", []string{phone}, nil)
	require.Equal(j.t, phone, j.sid("BS", got))
	j.recent(got["date_created"])
	j.serviceNamed(got)
	require.Equal(j.t, credential, got["credential_sid"])
	require.Equal(j.t, "token-1", got["endpoint"])
	require.Equal(j.t, "alice", got["identity"])
	require.Equal(j.t, "fcm", got["binding_type"])
	require.Equal(j.t, []any{"new_message"}, got["message_types"])
	require.Equal(j.t, j.root()+"/Bindings/"+phone, got["url"])
	require.Equal(j.t, []string{phone, tablet}, sids(j.all("ListBinding", nil, nil)))
	require.Equal(j.t, []string{tablet}, sids(j.all("ListBinding", nil, params{"BindingType": []string{"apn", "gcm"}})))
	require.Equal(j.t, []string{phone}, sids(j.all("ListBinding", nil, params{"Identity": []string{"alice", "carol"}})))
	j.reachable()
	j.do("DeleteBinding", []string{phone}, nil)
	j.gone("FetchBinding", phone)
}

// reachable checks that a device makes its user notifiable, on a single fetch only.
func (j *judge) reachable() {
	j.do("UpdateServiceConfiguration", nil, params{"ReachabilityEnabled": true})
	j.do("CreateUser", nil, params{"Identity": "bob"})
	require.Equal(j.t, true, j.do("FetchUser", []string{"bob"}, nil)["is_notifiable"])
	for _, user := range j.all("ListUser", nil, nil) {
		require.Nil(j.t, user["is_notifiable"])
	}
	j.do("UpdateServiceConfiguration", nil, params{"ReachabilityEnabled": false})
	require.Nil(j.t, j.do("FetchUser", []string{"bob"}, nil)["is_notifiable"])
	j.do("DeleteUser", []string{"bob"}, nil)
}

// inAccount calls an operation that only the account form has.
func (j *judge) inAccount(operation string, p params) map[string]any {
	j.t.Helper()
	return j.within("").do(operation, nil, p)
}
