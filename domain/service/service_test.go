package service_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/events"
)

var (
	at = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	ac = domain.SID("AC", "one")
	is = domain.SID("IS", "one")

	// Roles of the service, and one of nowhere.
	admin, member, user, nowhere = domain.SID("RL", "admin"), domain.SID("RL", "member"), domain.SID("RL", "user"), domain.SID("RL", "nowhere")

	types = map[string]string{admin: events.RoleConversation, member: events.RoleConversation, user: events.RoleService}

	created = []events.Event{
		events.ServiceCreated{Service: is, Account: ac, FriendlyName: "Shop", At: at},
		events.ServiceConfigured{CreatorRole: admin, ConversationRole: member, ServiceRole: user, At: at},
	}
	removed = append(created[:2:2], events.ServiceRemoved{At: at})
)

func named(name string) service.Create {
	return service.Create{At: at, Account: ac, Sid: is, FriendlyName: name, CreatorRole: admin, ConversationRole: member, ServiceRole: user}
}

func TestCreate(t *testing.T) {
	exists := no{domain.AlreadyExists, "service_exists", "sid", 20409}
	run(t, []row{
		{name: "a new service has its default roles", when: named("Shop"), then: created, again: exists},
		{name: "an import brings the roles afterwards", when: service.Create{At: at, Import: true, Account: ac, Sid: is, FriendlyName: "Shop"}, then: created[:1], again: exists},
		{name: "a service that is there", given: created, when: named("Other"), no: exists},
		{name: "a service that was removed does not come back", given: removed, when: named("Shop"), no: exists},
		{name: "no name", when: named(""), no: no{domain.InvalidArgument, "friendly_name_missing", "friendly_name", 50000}},
		{name: "a name over 256 characters", when: named(strings.Repeat("é", 257)), no: no{domain.InvalidArgument, "friendly_name_too_long", "friendly_name", 50003}},
	})
}

func TestConfigure(t *testing.T) {
	yes, off := true, false
	configure := func(c service.Configure) service.Configure {
		c.At, c.RoleTypes = at, types
		return c
	}
	configured := func(creator, conversation, service string, reachable bool) []events.Event {
		return []events.Event{events.ServiceConfigured{CreatorRole: creator, ConversationRole: conversation, ServiceRole: service, ReachabilityEnabled: reachable, At: at}}
	}
	missing := no{domain.NotFound, "service_not_found", "", 50050}
	run(t, []row{
		{name: "nothing given, nothing done", given: created, when: configure(service.Configure{})},
		{name: "the same again", given: created, when: configure(service.Configure{CreatorRole: &admin, ConversationRole: &member, ServiceRole: &user, ReachabilityEnabled: &off})},
		{name: "other roles", given: created, when: configure(service.Configure{CreatorRole: &member, ConversationRole: &admin}), then: configured(member, admin, user, false)},
		{name: "reachability", given: created, when: configure(service.Configure{ReachabilityEnabled: &yes}), then: configured(admin, member, user, true)},
		{name: "a creator role that is not there", given: created, when: configure(service.Configure{CreatorRole: &nowhere}),
			no: no{domain.NotFound, "role_not_found", "default_conversation_creator_role", 50101}},
		{name: "a conversation role that is not there", given: created, when: configure(service.Configure{ConversationRole: &nowhere}),
			no: no{domain.NotFound, "role_not_found", "default_conversation_role", 50101}},
		{name: "a service role that is not there", given: created, when: configure(service.Configure{ServiceRole: &nowhere}),
			no: no{domain.NotFound, "role_not_found", "default_chat_service_role", 50102}},
		{name: "a service role for conversations", given: created, when: configure(service.Configure{ConversationRole: &user}),
			no: no{domain.InvalidArgument, "role_type_invalid", "default_conversation_role", 50105}},
		{name: "a conversation role for users", given: created, when: configure(service.Configure{ServiceRole: &admin}),
			no: no{domain.InvalidArgument, "role_type_invalid", "default_chat_service_role", 50105}},
		{name: "a service that is not there", when: configure(service.Configure{}), no: missing},
		{name: "a service that was removed", given: removed, when: configure(service.Configure{}), no: missing},
	})
}

func TestRemove(t *testing.T) {
	missing := no{domain.NotFound, "service_not_found", "", 50050}
	run(t, []row{
		{name: "a service", given: created, when: service.Remove{At: at}, then: []events.Event{events.ServiceRemoved{At: at}}, again: missing},
		{name: "a service that is not there", when: service.Remove{At: at}, no: missing},
		{name: "the account's default service", given: created, when: service.Remove{At: at, Default: true}, no: no{domain.FailedPrecondition, "service_is_default", "", 20409}},
		{name: "a service that was removed", given: removed, when: service.Remove{At: at, Default: true}, no: missing},
	})
	require.True(t, fold(created).Exists())
	require.False(t, fold(removed).Exists())
}

func TestCommandsHaveNames(t *testing.T) {
	require.Equal(t, "service.create", service.Create{}.CommandType())
	require.Equal(t, "service.configure", service.Configure{}.CommandType())
	require.Equal(t, "service.remove", service.Remove{}.CommandType())
	require.Equal(t, "service.configure-webhooks", service.ConfigureWebhooks{}.CommandType())
	require.Equal(t, "service.configure-notifications", service.ConfigureNotifications{}.CommandType())
}
