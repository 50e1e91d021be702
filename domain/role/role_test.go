package role_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/role"
	"github.com/parley-engine/parley/events"
)

var (
	at = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	ac = domain.SID("AC", "one")
	is = domain.SID("IS", "one")
	rl = domain.SID("RL", "one")

	created = []events.Event{events.RoleCreated{
		Role: rl, Account: ac, Service: is, FriendlyName: "guest", Type: events.RoleConversation, Permissions: []string{"sendMessage"}, At: at,
	}}
	removed = append(created[:1:1], events.RoleRemoved{At: at})
)

func create(roleType string, permissions ...string) role.Create {
	return role.Create{At: at, Account: ac, Service: is, Sid: rl, FriendlyName: "guest", Type: roleType, Permissions: permissions}
}

func restored(permissions ...string) role.Create {
	c := create(events.RoleConversation, permissions...)
	c.Import = true
	return c
}

func named(name string) role.Create {
	c := create(events.RoleConversation, "sendMessage")
	c.FriendlyName = name
	return c
}

func denied(field string) no { return no{domain.InvalidArgument, "permission_unknown", field, 50104} }

func TestCreate(t *testing.T) {
	exists := no{domain.AlreadyExists, "role_exists", "sid", 20409}
	run(t, []row{
		{name: "a new role", when: create(events.RoleConversation, "sendMessage"), then: created, again: exists},
		{name: "a role that is there", given: created, when: create(events.RoleService, "createConversation"), no: exists},
		{name: "a role that was removed does not come back", given: removed, when: create(events.RoleService, "createConversation"), no: exists},
		{name: "no name", when: named(""), no: no{domain.InvalidArgument, "friendly_name_missing", "friendly_name", 50000}},
		{name: "a name over 64 characters", when: named(strings.Repeat("x", 65)), no: no{domain.InvalidArgument, "friendly_name_too_long", "friendly_name", 50003}},
		{name: "another type", when: create("deployment", "sendMessage"), no: no{domain.InvalidArgument, "role_type_invalid", "type", 50105}},
		{name: "no permission", when: create(events.RoleConversation), no: no{domain.InvalidArgument, "permission_missing", "permissions", 50104}},
		{name: "an import may bring a role that can do nothing here", when: restored(), again: exists, then: []events.Event{events.RoleCreated{
			Role: rl, Account: ac, Service: is, FriendlyName: "guest", Type: events.RoleConversation, Permissions: []string{}, At: at,
		}}},
		{name: "but no permission that is not there", when: restored("inviteMember"), no: denied("permissions[0]")},
		{name: "a permission that is not there", when: create(events.RoleConversation, "sendMessage", "fly"), no: denied("permissions[1]")},
		{name: "inviteMember, of Programmable Chat", when: create(events.RoleConversation, "inviteMember"), no: denied("permissions[0]")},
		{name: "inviteMember, for a service role", when: create(events.RoleService, "inviteMember"), no: denied("permissions[0]")},
		{name: "a permission of services, for a conversation role", when: create(events.RoleConversation, "createConversation"), no: denied("permissions[0]")},
		{name: "another one of services", when: create(events.RoleConversation, "sendMessage", "joinConversation"), no: denied("permissions[1]")},
		{name: "a permission of conversations, for a service role", when: create(events.RoleService, "sendMessage"), no: denied("permissions[0]")},
	})
}

func TestReplacePermissions(t *testing.T) {
	replace := func(permissions ...string) role.ReplacePermissions {
		return role.ReplacePermissions{At: at, Permissions: permissions}
	}
	missing := no{domain.NotFound, "role_not_found", "", 50100}
	run(t, []row{
		{name: "another set", given: created, when: replace("sendMessage", "leaveConversation"),
			then: []events.Event{events.RolePermissionsReplaced{Permissions: []string{"sendMessage", "leaveConversation"}, At: at}}},
		{name: "the same set", given: created, when: replace("sendMessage")},
		{name: "none", given: created, when: replace(), no: no{domain.InvalidArgument, "permission_missing", "permissions", 50104}},
		{name: "one of services", given: created, when: replace("createConversation"), no: denied("permissions[0]")},
		{name: "of a role that is not there", when: replace("sendMessage"), no: missing},
		{name: "of a role that was removed", given: removed, when: replace("sendMessage"), no: missing},
	})
}

func TestRemove(t *testing.T) {
	missing := no{domain.NotFound, "role_not_found", "", 50100}
	run(t, []row{
		{name: "a role", given: created, when: role.Remove{At: at}, then: []events.Event{events.RoleRemoved{At: at}}, again: missing},
		{name: "a role that is not there", when: role.Remove{At: at}, no: missing},
		{name: "a role that was removed", given: removed, when: role.Remove{At: at, InUse: true}, no: missing},
		{name: "a role somebody has", given: created, when: role.Remove{At: at, InUse: true}, no: no{domain.FailedPrecondition, "role_in_use", "", 20409}},
	})
	require.True(t, fold(created).Exists())
	require.False(t, fold(removed).Exists())
}

// Every service begins with these four, so they must be what role.create takes.
func TestDefaultsArePermitted(t *testing.T) {
	names := map[string]bool{}
	for _, d := range role.Defaults() {
		c := create(d.Type, d.Permissions...)
		c.FriendlyName = d.Name
		got, err := role.Decide(role.State{}, c)
		require.NoError(t, err, d.Name)
		require.Len(t, got, 1)
		names[d.Type+" "+d.Name] = true
	}
	require.Equal(t, map[string]bool{
		"service service admin": true, "service service user": true,
		"conversation channel admin": true, "conversation channel user": true,
	}, names)
}

func TestCommandsHaveNames(t *testing.T) {
	require.Equal(t, "role.create", role.Create{}.CommandType())
	require.Equal(t, "role.replace-permissions", role.ReplacePermissions{}.CommandType())
	require.Equal(t, "role.remove", role.Remove{}.CommandType())
}
