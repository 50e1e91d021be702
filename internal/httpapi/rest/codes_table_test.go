package rest_test

import (
	"strings"

	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/httpapi/ratelimit"
	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// nothing is a SID that nothing has.
func nothing(prefix string) string { return prefix + strings.Repeat("0", 32) }

func long(n int) string { return strings.Repeat("x", n) }

// calling provokes an error with one call outside of any conversation.
func calling(operation string, p params, path ...string) func(*stage) error {
	return func(s *stage) error { return s.call(operation, path, p) }
}

func generalLines() []line {
	return []line{
		refused(20003, 401, "", func(s *stage) error {
			stranger := *s.world
			stranger.token = "another"
			return s.by(stranger.judge(s.t)).call("ListConversation", nil, nil)
		}),
		refused(20004, 405, "", func(s *stage) error { return s.raw("PUT", "/v1/Conversations", nil) }),
		refused(20403, 403, "forbidden", func(s *stage) error {
			return s.by(s.alice).call("CreateRole", nil, params{"FriendlyName": "f", "Type": "service", "Permission": []string{"joinConversation"}})
		}),
		missing(20404, calling("FetchConversation", nil, nothing("CH"))),
		missing(20404, func(s *stage) error { return s.raw("GET", "/v1/Nothing", nil) }),
		refused(20409, 409, "role_in_use", func(s *stage) error {
			role := str(s.within(s.home()).do("FetchServiceConfiguration", nil, nil), "default_conversation_role_sid")
			return s.call("DeleteRole", []string{role}, nil)
		}),
		refused(20422, 400, "invalid_parameter", calling("ListConversation", params{"PageSize": 0})),
		refused(50063, 429, "rate_limited", func(s *stage) error {
			slow := s.beside(engine.Options{}, func(c *rest.Config) { c.Actions = ratelimit.New(0.001, 1, 10) })
			j := slow.judge(s.t)
			j.do("CreateConversation", nil, nil)
			return s.by(j).call("CreateConversation", nil, nil)
		}),
	}
}

func serviceLines() []line {
	notification := func(name, text string) func(*stage) error {
		return func(s *stage) error {
			return s.by(s.within(s.home())).call("UpdateServiceNotification", nil, params{name: text})
		}
	}
	return []line{
		refused(50000, 400, "friendly_name_missing", calling("CreateService", params{"FriendlyName": ""})),
		refused(50003, 400, "friendly_name_too_long", calling("CreateService", params{"FriendlyName": long(257)})),
		refused(50050, 404, "service_not_found", calling("UpdateConfiguration", params{"DefaultChatServiceSid": nothing("IS")})),
		missing(50050, calling("FetchService", nil, nothing("IS"))),
		refused(50058, 400, "template_too_long", notification("NewMessage.Template", long(513))),
		refused(50059, 400, "sound_too_long", notification("NewMessage.Sound", long(257))),
		missing(50100, calling("UpdateRole", params{"Permission": []string{"sendMessage"}}, nothing("RL"))),
		refused(50104, 400, "permission_unknown", calling("CreateRole", params{"FriendlyName": "f", "Type": "conversation", "Permission": []string{"inviteMember"}})),
		refused(50104, 400, "permission_missing", calling("CreateRole", params{"FriendlyName": "f", "Type": "conversation"})),
		refused(50105, 400, "role_type_invalid", calling("CreateRole", params{"FriendlyName": "f", "Type": "channel", "Permission": []string{"sendMessage"}})),
	}
}

func personLines() []line {
	return []line{
		refused(50102, 404, "role_not_found", calling("CreateUser", params{"Identity": "u", "RoleSid": nothing("RL")})),
		refused(50107, 403, "permission_denied", func(s *stage) error {
			return s.by(s.alice).call("UpdateConversation", []string{s.open}, params{"FriendlyName": "hers"})
		}),
		missing(50200, calling("UpdateUser", params{"FriendlyName": "f"}, "nobody")),
		refused(50201, 409, "user_exists", calling("CreateUser", params{"Identity": "alice"})).saying("User already exists"),
		refused(50203, 400, "identity_reserved", participant(params{"Identity": "system"})),
		refused(50204, 400, "identity_missing", participant(params{})),
		refused(50204, 400, "identity_missing", calling("CreateUser", params{})),
		refused(50205, 403, "role_not_settable", func(s *stage) error {
			return s.by(s.alice).call("CreateConversationParticipant", []string{s.open}, params{"Identity": "bob", "RoleSid": nothing("RL")})
		}),
		refused(50206, 400, "identity_looks_like_sid", calling("CreateUser", params{"Identity": nothing("US")})),
		refused(50207, 400, "identity_too_long", calling("CreateUser", params{"Identity": long(257)})),
		refused(50210, 400, "notification_level_invalid", func(s *stage) error {
			return s.call("UpdateUserConversation", []string{"alice", s.open}, params{"NotificationLevel": "loud"})
		}),
		refused(50430, 403, "not_a_participant", func(s *stage) error {
			return s.by(s.mallet).call("CreateConversationMessage", []string{s.open}, params{"Body": "hi"})
		}),
		refused(50451, 400, "invalid_parameter", calling("ListParticipantConversation", params{"Identity": "a", "Address": "+15550001234"})),
	}
}

// changed updates the open conversation.
func changed(p params) func(*stage) error {
	return func(s *stage) error { return s.call("UpdateConversation", []string{s.open}, p) }
}

func conversationLines() []line {
	creating := func(p params) func(*stage) error { return calling("CreateConversation", p) }
	return []line{
		refused(50003, 400, "friendly_name_too_long", creating(params{"FriendlyName": long(257)})),
		refused(50004, 400, "unique_name_too_long", creating(params{"UniqueName": long(65)})),
		refused(50303, 400, "attributes_too_long", creating(params{"Attributes": `"` + long(16<<10) + `"`})),
		refused(50304, 400, "attributes_invalid", creating(params{"Attributes": "{"})),
		refused(50308, 400, "invalid_parameter", func(s *stage) error { return s.raw("POST", "/v1/Conversations", form("DateCreated", "yesterday")) }),
		refused(50309, 400, "invalid_parameter", func(s *stage) error {
			return s.raw("POST", "/v1/Conversations/"+s.open, form("DateUpdated", "Thu, 30 Jul 2015 20:00:00 GMT"))
		}),
		refused(50340, 400, "messaging_service_missing", changed(params{"MessagingServiceSid": ""})),
		refused(50341, 400, "messaging_service_invalid", changed(params{"MessagingServiceSid": nothing("MG")})),
		refused(50341, 400, "invalid_parameter", changed(params{"MessagingServiceSid": "MG1"})),
		missing(50350, calling("UpdateConversation", params{"FriendlyName": "f"}, nothing("CH"))),
		missing(50350, calling("DeleteConversation", nil, "no-such-name")),
		refused(50353, 409, "unique_name_taken", func(s *stage) error {
			s.do("CreateConversation", nil, params{"UniqueName": "taken"})
			return s.call("CreateConversation", nil, params{"UniqueName": "taken"})
		}).saying("Conversation with provided unique name already exists"),
		refused(50353, 409, "unique_name_taken", func(s *stage) error {
			s.do("CreateConversation", nil, params{"UniqueName": "taken too"})
			return s.call("UpdateConversation", []string{s.open}, params{"UniqueName": "taken too"})
		}),
		refused(50374, 400, "state_empty", changed(params{"State": ""})),
		refused(50375, 400, "timer_too_short", creating(params{"Timers.Inactive": "PT59S"})),
		refused(50375, 400, "timer_too_short", calling("UpdateConfiguration", params{"DefaultInactiveTimer": "PT59S"})),
		refused(50376, 400, "timer_too_short", changed(params{"Timers.Closed": "PT9M"})),
		refused(50376, 400, "timer_too_short", calling("UpdateConfiguration", params{"DefaultClosedTimer": "PT9M59S"})),
		refused(50377, 400, "conversation_closed", func(s *stage) error {
			return s.call("CreateConversationMessage", []string{s.closed}, params{"Body": "too late"})
		}),
		refused(50378, 400, "state_invalid", changed(params{"State": "initializing"})),
		refused(50378, 400, "state_invalid", creating(params{"State": "asleep"})),
		refused(50378, 400, "invalid_parameter", calling("ListConversation", params{"State": "asleep"})),
		refused(50379, 400, "timer_unit_invalid", creating(params{"Timers.Inactive": "P1M"})),
		refused(50379, 400, "timer_invalid", creating(params{"Timers.Inactive": "soon"})),
		refused(50380, 400, "timer_unit_invalid", changed(params{"Timers.Closed": "P1Y"})),
		refused(50380, 400, "timer_invalid", changed(params{"Timers.Closed": ""})),
		refused(50384, 400, "state_closed_at_creation", creating(params{"State": "closed"})),
		refused(50390, 400, "unique_name_looks_like_sid", creating(params{"UniqueName": nothing("CH")})),
		refused(50396, 400, "invalid_parameter", calling("ListConversation", params{"StartDate": "2026-01-02", "EndDate": "2026-01-01"})),
		refused(50424, 400, "invalid_parameter", calling("CreateConversationWithParticipants", params{"Participant": []string{"alice"}})),
		refused(50424, 400, "invalid_parameter", calling("CreateConversationWithParticipants", params{"Participant": []string{`["alice"]`}})),
		refused(50425, 409, "address_pair_taken", func(s *stage) error {
			phone := number()
			s.with(sms(phone))
			return s.call("CreateConversationWithParticipants", nil, params{"MessagingServiceSid": messagingService, "Participant": []string{
				`{"identity":"alice"}`, `{"messaging_binding":{"address":"` + phone + `","proxy_address":"` + ourNumber + `"}}`,
			}})
		}).saying("already exists in Conversation CH"),
		refused(50426, 400, "too_many_participants", calling("CreateConversationWithParticipants", params{"Participant": []string{
			`{}`, `{}`, `{}`, `{}`, `{}`, `{}`, `{}`, `{}`, `{}`, `{}`, `{}`,
		}})),
	}
}

// hook attaches a webhook to the open conversation.
func hook(p params) func(*stage) error {
	return func(s *stage) error { return s.call("CreateConversationScopedWebhook", []string{s.open}, p) }
}

func webhookLines() []line {
	const address = "https://example.com"
	studio := params{"Target": "studio", "Configuration.FlowSid": nothing("FW")}
	return []line{
		refused(50054, 400, "url_invalid", calling("UpdateConfigurationWebhook", params{"PreWebhookUrl": "example.com"})),
		refused(50054, 400, "url_invalid", hook(params{"Target": "webhook", "Configuration.Url": "ftp://example.com", "Configuration.Filters": []string{"onMessageAdded"}})),
		refused(50055, 400, "method_invalid", calling("UpdateConfigurationWebhook", params{"Method": "PUT"})),
		refused(50055, 400, "method_invalid", hook(params{"Target": "webhook", "Configuration.Url": address, "Configuration.Method": "put"})),
		missing(50360, func(s *stage) error {
			return s.call("UpdateConversationScopedWebhook", []string{s.open, nothing("WH")}, params{"Configuration.Url": address})
		}),
		refused(50361, 400, "too_many_webhooks", func(s *stage) error {
			in := s.conversation()
			for range 5 {
				s.do("CreateConversationScopedWebhook", []string{in}, studio)
			}
			return s.call("CreateConversationScopedWebhook", []string{in}, studio)
		}),
		refused(50362, 400, "too_many_triggers", hook(params{
			"Target": "trigger", "Configuration.Url": address, "Configuration.Triggers": strings.Split(long(20), "x"),
		})),
		refused(50364, 400, "target_invalid", hook(params{"Target": "pigeon"})),
		refused(50365, 400, "filter_invalid", hook(params{"Target": "webhook", "Configuration.Url": address, "Configuration.Filters": []string{"onRain"}})),
		refused(50365, 400, "filter_invalid", calling("UpdateConfigurationWebhook", params{"Filters": []string{"onRain"}})),
		refused(50366, 400, "trigger_invalid", hook(params{"Target": "trigger", "Configuration.Url": address, "Configuration.Triggers": []string{" "}})),
		refused(50367, 400, "invalid_parameter", hook(params{"Target": "studio", "Configuration.FlowSid": "FW1"})),
		refused(50367, 400, "sid_invalid", hook(params{"Target": "studio"})),
		refused(50368, 400, "target_missing", hook(params{})),
		refused(50369, 400, "url_missing", hook(params{"Target": "webhook", "Configuration.Filters": []string{"onMessageAdded"}})),
		refused(50370, 400, "filters_missing", hook(params{"Target": "webhook", "Configuration.Url": address})),
		refused(50371, 400, "triggers_missing", hook(params{"Target": "trigger", "Configuration.Url": address})),
		refused(50372, 400, "url_too_long", hook(params{"Target": "webhook", "Configuration.Url": address + "/" + long(2048)})),
	}
}
