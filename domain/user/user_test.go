package user_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/user"
	"github.com/parley-engine/parley/events"
)

var (
	at = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	ac = domain.SID("AC", "one")
	is = domain.SID("IS", "one")
	us = domain.SID("US", "one")

	member, admin = domain.SID("RL", "member"), domain.SID("RL", "admin")

	created = []events.Event{events.UserCreated{User: us, Account: ac, Service: is, Identity: "alice", Role: member, At: at}}
	removed = append(created[:1:1], events.UserRemoved{At: at})

	missing   = no{domain.NotFound, "user_not_found", "", 50200}
	forbidden = no{domain.PermissionDenied, "permission_denied", "", 50107}
)

func ptr(s string) *string { return &s }

// by is an issue of a user with permissions of the service role.
func by(identity string, permissions ...string) user.Issue {
	return user.Issue{At: at, Caller: domain.Caller{Identity: identity, ServicePermissions: permissions}}
}

func create(change ...func(*user.Create)) user.Create {
	c := user.Create{Issue: by(""), Account: ac, Service: is, DefaultRole: member, Sid: us, Identity: "alice"}
	for _, f := range change {
		f(&c)
	}
	return c
}

func restored(attributes string) user.Create {
	return create(func(c *user.Create) {
		c.Attributes, c.Caller.Actor.Kind = attributes, events.ActorImport
	})
}

func identified(identity string) user.Create {
	return create(func(c *user.Create) { c.Identity = identity })
}

func TestCreate(t *testing.T) {
	exists := no{domain.AlreadyExists, "user_exists", "sid", 50201}
	invalid := func(code, field string, twilio int) no { return no{domain.InvalidArgument, code, field, twilio} }
	full := create(func(c *user.Create) {
		c.FriendlyName, c.Attributes, c.Role, c.RoleType = "Alice", `{"vip":true}`, admin, events.RoleService
	})
	run(t, []row{
		{name: "a new user has the service's default role", when: create(), then: created, again: exists},
		{name: "with all fields", when: full, again: exists,
			then: []events.Event{events.UserCreated{User: us, Account: ac, Service: is, Identity: "alice", FriendlyName: "Alice", Attributes: `{"vip":true}`, Role: admin, At: at}}},
		{name: "an import brings attributes as long as they are", when: restored(`{"a":1}` + strings.Repeat(" ", 4096)), again: exists,
			then: []events.Event{events.UserCreated{User: us, Account: ac, Service: is, Identity: "alice", Role: member, Attributes: `{"a":1}` + strings.Repeat(" ", 4096), At: at}}},
		{name: "but JSON", when: restored(`{`), no: invalid("attributes_invalid", "attributes", 50304)},
		{name: "a user that is there", given: created, when: create(), no: exists},
		{name: "a user that was removed does not come back", given: removed, when: create(), no: exists},
		{name: "by a user", when: create(func(c *user.Create) { c.Issue = by("bob", "editAnyUserInfo") }), no: forbidden},
		{name: "no identity", when: identified(""), no: invalid("identity_missing", "identity", 50204)},
		{name: "an identity like a SID", when: identified(us), no: invalid("identity_looks_like_sid", "identity", 50206)},
		{name: "an identity over 256 characters", when: identified(strings.Repeat("é", 257)), no: invalid("identity_too_long", "identity", 50207)},
		{name: "a name over 256 characters", when: create(func(c *user.Create) { c.FriendlyName = strings.Repeat("x", 257) }),
			no: invalid("friendly_name_too_long", "friendly_name", 50003)},
		{name: "attributes over 4 KiB", when: create(func(c *user.Create) { c.Attributes = `"` + strings.Repeat("x", user.MaxAttributes-1) + `"` }),
			no: invalid("attributes_too_long", "attributes", 50303)},
		{name: "attributes that are not JSON", when: create(func(c *user.Create) { c.Attributes = "{" }), no: invalid("attributes_invalid", "attributes", 50304)},
		{name: "a role that is not there", when: create(func(c *user.Create) { c.Role = admin }), no: no{domain.NotFound, "role_not_found", "role", 50102}},
		{name: "a role for conversations", when: create(func(c *user.Create) { c.Role, c.RoleType = admin, events.RoleConversation }),
			no: invalid("role_type_invalid", "role", 50105)},
	})
}

func TestUpdate(t *testing.T) {
	api := by("")
	promote := user.Update{Issue: api, Role: &admin}
	promote.RoleType = events.RoleService
	demote := promote
	demote.RoleType = events.RoleConversation
	renamed := []events.Event{events.UserFriendlyNameChanged{FriendlyName: "Alice", At: at}}
	run(t, []row{
		{name: "nothing given, nothing done", given: created, when: user.Update{Issue: api}},
		{name: "a name", given: created, when: user.Update{Issue: api, FriendlyName: ptr("Alice")}, then: renamed},
		{name: "the same name", given: append(created[:1:1], renamed...), when: user.Update{Issue: api, FriendlyName: ptr("Alice")}},
		{name: "name and attributes", given: created, when: user.Update{Issue: api, FriendlyName: ptr("Alice"), Attributes: ptr("{}")},
			then: append(renamed[:1:1], events.UserAttributesChanged{Attributes: "{}", At: at})},
		{name: "attributes that are not JSON", given: created, when: user.Update{Issue: api, Attributes: ptr("{")},
			no: no{domain.InvalidArgument, "attributes_invalid", "attributes", 50304}},
		{name: "another role", given: created, when: promote, then: []events.Event{events.UserRoleChanged{Role: admin, At: at}}},
		{name: "the same role", given: created, when: user.Update{Issue: api, Role: &member}},
		{name: "a role that is not there", given: created, when: user.Update{Issue: api, Role: &admin}, no: no{domain.NotFound, "role_not_found", "role", 50102}},
		{name: "a role for conversations", given: created, when: demote, no: no{domain.InvalidArgument, "role_type_invalid", "role", 50105}},
		{name: "a user that is not there", when: user.Update{Issue: api}, no: missing},
		{name: "a user that was removed", given: removed, when: user.Update{Issue: api}, no: missing},
	})
}

func TestUpdateByUsers(t *testing.T) {
	rename := func(issue user.Issue) user.Update { return user.Update{Issue: issue, FriendlyName: ptr("Alice")} }
	renamed := []events.Event{events.UserFriendlyNameChanged{FriendlyName: "Alice", At: at}}
	promote := user.Update{Issue: by("alice", "editOwnUserInfo", "editAnyUserInfo"), Role: &admin}
	promote.RoleType = events.RoleService
	run(t, []row{
		{name: "herself, with the right to", given: created, when: rename(by("alice", "editOwnUserInfo")), then: renamed},
		{name: "herself, without", given: created, when: rename(by("alice", "editAnyUserInfo")), no: forbidden},
		{name: "somebody else, with the right to", given: created, when: rename(by("bob", "editAnyUserInfo")), then: renamed},
		{name: "somebody else, with the right for himself", given: created, when: rename(by("bob", "editOwnUserInfo")), no: forbidden},
		{name: "her role, which no user may", given: created, when: promote, no: forbidden},
	})
}

func TestRemove(t *testing.T) {
	run(t, []row{
		{name: "a user", given: created, when: user.Remove{Issue: by("")}, then: []events.Event{events.UserRemoved{At: at}}, again: missing},
		{name: "by a user", given: created, when: user.Remove{Issue: by("alice", "editOwnUserInfo")}, no: forbidden},
		{name: "a user that is not there", when: user.Remove{Issue: by("")}, no: missing},
	})
	require.True(t, fold(created).Exists())
	require.False(t, fold(removed).Exists())
}

func TestTakenIdentityIsRefusedLikeAUserThatIsThere(t *testing.T) {
	requireRefusal(t, no{domain.AlreadyExists, "user_exists", "identity", 50201}, user.Taken())
}

func TestCommandsHaveNames(t *testing.T) {
	require.Equal(t, "user.create", user.Create{}.CommandType())
	require.Equal(t, "user.update", user.Update{}.CommandType())
	require.Equal(t, "user.remove", user.Remove{}.CommandType())
}
