package domain_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
)

func TestIsSID(t *testing.T) {
	for _, r := range []struct {
		name, prefix, sid string
		is                bool
	}{
		{"one of ours", "CH", domain.SID("CH", "x"), true},
		{"all digits", "CH", "CH" + strings.Repeat("0", 32), true},
		{"upper case", "CH", "CH" + strings.Repeat("AF", 16), true},
		{"mixed case", "CH", "CH" + strings.Repeat("aF", 16), true},
		{"another prefix", "CH", domain.SID("MB", "x"), false},
		{"a prefix in lower case", "CH", "ch" + strings.Repeat("0", 32), false},
		{"too short", "CH", "CH" + strings.Repeat("0", 31), false},
		{"too long", "CH", "CH" + strings.Repeat("0", 33), false},
		{"a letter beyond f", "CH", "CH" + strings.Repeat("0", 31) + "g", false},
		{"a sign between 9 and A", "CH", "CH" + strings.Repeat("0", 31) + ":", false},
		{"a sign between F and a", "CH", "CH" + strings.Repeat("0", 31) + "`", false},
		{"letters of two bytes", "CH", "CH" + strings.Repeat("é", 16), false},
		{"a blank", "CH", "CH" + strings.Repeat("0", 31) + " ", false},
		{"nothing", "CH", "", false},
	} {
		t.Run(r.name, func(t *testing.T) { require.Equal(t, r.is, domain.IsSID(r.prefix, r.sid)) })
	}
}

// The same name has the same SID for ever: repeated creates depend on it.
func TestSIDIsDerivedFromPrefixAndName(t *testing.T) {
	require.Equal(t, "CHa71ffc1452105c8e98316cc2253fb35e", domain.SID("CH", "a"))
	require.True(t, domain.IsSID("CH", domain.SID("CH", "")))
	require.NotEqual(t, domain.SID("CH", "a"), domain.SID("CH", "b"))
	require.NotEqual(t, domain.SID("CH", "a")[2:], domain.SID("MB", "a")[2:])
}

func TestCheckAttributes(t *testing.T) {
	const limit = 16
	for _, r := range []struct {
		name, attributes string
		code             string
		twilio           int
	}{
		{"not given", "", "", 0},
		{"an object", `{"a":1}`, "", 0},
		{"any JSON text", `"text"`, "", 0},
		{"at the limit", `"` + strings.Repeat("x", limit-2) + `"`, "", 0},
		{"over the limit", `"` + strings.Repeat("x", limit-1) + `"`, "attributes_too_long", 50303},
		{"over the limit in bytes, not in letters", `"` + strings.Repeat("é", 8) + `"`, "attributes_too_long", 50303},
		{"not JSON", `{"a":`, "attributes_invalid", 50304},
		{"two texts", `{} {}`, "attributes_invalid", 50304},
		{"a blank", ` `, "attributes_invalid", 50304},
	} {
		t.Run(r.name, func(t *testing.T) {
			requireRefused(t, domain.CheckAttributes(r.attributes, limit, "attributes"), r.code, "attributes", r.twilio)
		})
	}
}

func TestCheckLengthCountsCharacters(t *testing.T) {
	require.NoError(t, domain.CheckLength(strings.Repeat("é", 4), 4, "name", 50003))
	requireRefused(t, domain.CheckLength(strings.Repeat("é", 5), 4, "name", 50003), "name_too_long", "name", 50003)
	requireRefused(t, domain.CheckLength("ab", 1, "push.name", 50003), "name_too_long", "push.name", 50003)
}

func requireRefused(t *testing.T, err error, code, field string, twilio int) {
	t.Helper()
	if code == "" {
		require.NoError(t, err)
		return
	}
	var r *domain.Refusal
	require.ErrorAs(t, err, &r)
	require.Equal(t, domain.Refusal{Kind: domain.InvalidArgument, Code: code, Field: field, Twilio: twilio, Message: r.Message}, *r)
	require.Contains(t, r.Error(), code)
}

func TestCallerMayWhatEitherRoleAllows(t *testing.T) {
	require.True(t, domain.Caller{}.May("anything"), "the account itself")
	caller := domain.Caller{Identity: "alice", ServicePermissions: []string{"createConversation"}, ConversationPermissions: []string{"sendMessage"}}
	require.True(t, caller.May("createConversation"))
	require.True(t, caller.May("sendMessage"))
	require.False(t, caller.May("deleteConversation"))
	require.False(t, domain.Caller{Identity: "bob"}.May("sendMessage"))
}
