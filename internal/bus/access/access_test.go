package access_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus/access"
)

const account = "AC0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"

var now = time.Date(2026, 12, 1, 10, 0, 0, 5, time.UTC)

func wish(roles ...access.Role) access.Token {
	return access.Token{Roles: roles, Account: account, Name: "orders"}
}

func file(t *testing.T) access.File {
	t.Helper()
	return access.File(filepath.Join(t.TempDir(), "tokens.json"))
}

func TestATokenIsShownOnceAndKeptAsAHash(t *testing.T) {
	f := file(t)
	made, secret, err := f.Create(wish(access.Commands), "ann@host", now)
	require.NoError(t, err)
	require.Equal(t, made.ID, access.IDOf(secret))
	require.True(t, made.Matches(secret))
	require.False(t, made.Matches(secret[:len(secret)-1]+"x"))
	require.Equal(t, []string{"api"}, made.Actors, "the least by default")
	data, err := os.ReadFile(string(f))
	require.NoError(t, err)
	require.NotContains(t, string(data), strings.TrimPrefix(secret, made.ID+"_"))
	info, err := os.Stat(string(f))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	tokens, err := f.Tokens()
	require.NoError(t, err)
	require.Equal(t, []access.Token{made}, tokens)
	require.Equal(t, "ann@host", tokens[0].CreatedBy)
}

func TestARevokedTokenIsRememberedWithWhoDidItAndWhen(t *testing.T) {
	f := file(t)
	made, _, err := f.Create(wish(access.Events), "ann", now)
	require.NoError(t, err)
	revoked, err := f.Revoke(made.ID, "bob", now.Add(time.Hour))
	require.NoError(t, err)
	require.False(t, revoked.Valid())
	again, err := f.Revoke(made.ID, "carl", now.Add(2*time.Hour))
	require.NoError(t, err)
	require.Equal(t, revoked, again)
	require.Equal(t, "bob", again.RevokedBy)
	_, err = f.Revoke("bt0000000000000000", "bob", now)
	require.ErrorIs(t, err, access.ErrNoToken)
}

func TestAWishThatMakesNoSenseIsRefused(t *testing.T) {
	for name, w := range map[string]access.Token{
		"no role":               {Account: account},
		"an unknown role":       {Roles: []access.Role{"root"}, Account: account},
		"everything and more":   {Roles: []access.Role{access.Everything, access.Commands}},
		"everything of an AC":   {Roles: []access.Role{access.Everything}, Account: account},
		"no account":            {Roles: []access.Role{access.Commands}},
		"a malformed account":   {Roles: []access.Role{access.Commands}, Account: "AC1"},
		"wildcards for account": {Roles: []access.Role{access.Events}, Account: "*"},
		"the system":            {Roles: []access.Role{access.Commands}, Account: account, Actors: []string{"system"}},
		"the timers":            {Roles: []access.Role{access.Commands}, Account: account, Actors: []string{"api", "timer"}},
		"an unknown actor":      {Roles: []access.Role{access.Commands}, Account: account, Actors: []string{"*"}},
		"actors without role":   {Roles: []access.Role{access.Events}, Account: account, Actors: []string{"api"}},
		"a long name":           {Roles: []access.Role{access.Events}, Account: account, Name: strings.Repeat("x", 65)},
		"a name of two lines":   {Roles: []access.Role{access.Events}, Account: account, Name: "a\nb"},
	} {
		t.Run(name, func(t *testing.T) {
			f := file(t)
			_, _, err := f.Create(w, "ann", now)
			require.Error(t, err)
			require.NoFileExists(t, string(f))
		})
	}
}

func TestThereIsALimitOfTokens(t *testing.T) {
	f := file(t)
	all := make([]access.Token, 0, access.MaxTokens+256)
	for range cap(all) - 1 {
		made, _, err := access.New(wish(access.Commands), "ann", now)
		require.NoError(t, err)
		if len(all) < 256 { // revoked ones are remembered
			made.Revoked = now
		}
		all = append(all, made)
	}
	data, err := json.Marshal(map[string]any{"format": 1, "tokens": all})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(string(f), data, 0o600))
	last, _, err := f.Create(wish(access.Commands), "ann", now)
	require.NoError(t, err)
	_, _, err = f.Create(wish(access.Commands), "ann", now)
	require.ErrorIs(t, err, access.ErrFull)
	_, err = f.Revoke(last.ID, "ann", now)
	require.NoError(t, err)
	_, _, err = f.Create(wish(access.Commands), "ann", now)
	require.NoError(t, err)
	tokens, err := f.Tokens()
	require.NoError(t, err)
	require.Len(t, tokens, cap(all))
	require.Equal(t, all[1].ID, tokens[0].ID, "the oldest revoked one is forgotten")
}

// A file that somebody changed may not become a subject with a wildcard, nor more than
// the tool would have made.
func TestADamagedFileIsRefusedByName(t *testing.T) {
	f := file(t)
	made, _, err := f.Create(wish(access.Commands), "ann", now)
	require.NoError(t, err)
	good, err := os.ReadFile(string(f))
	require.NoError(t, err)
	for _, change := range [][2]string{
		{`"format": 1`, `"format": 2`}, {account, "*"}, {account, "AC1"}, {made.ID, "bt*"}, {made.ID, "everyone"}, {`"commands"`, `"root"`},
		{`"api"`, `"system"`}, {`"roles"`, `"rolls"`}, {made.Hash, "00"}, {"{", ""}, {string(good), ""},
	} {
		require.NoError(t, os.WriteFile(string(f), []byte(strings.Replace(string(good), change[0], change[1], 1)), 0o600))
		_, err := f.Tokens()
		require.ErrorIs(t, err, access.ErrDamaged, change[1])
		require.ErrorContains(t, err, string(f))
		_, _, err = f.Create(wish(access.Commands), "ann", now)
		require.ErrorIs(t, err, access.ErrDamaged)
	}
}

func TestChangesAtTheSameTimeAreAllKept(t *testing.T) {
	f := file(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			unlock, err := f.Lock()
			if err == nil {
				_, _, err = f.Create(wish(access.Commands), "ann", now)
				_ = unlock()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	tokens, err := f.Tokens()
	require.NoError(t, err)
	require.Len(t, tokens, 20)
}

func TestAnAuthorityIsReadAsItWasWritten(t *testing.T) {
	a := access.Authority{Account: account, Actors: []string{"api", "user"}, Token: "bt0123456789abcdef"}
	read, err := access.FromSubject(a.Subject("CH1"))
	require.NoError(t, err)
	require.Equal(t, &a, read)
	require.True(t, read.MayActAs("user"))
	require.False(t, read.MayActAs("system"))
	for _, rest := range []string{"CH1", "new", "account", "accounts.x", ""} {
		read, err := access.FromSubject(rest)
		require.NoError(t, err, rest)
		require.Nil(t, read, rest)
	}
	for _, rest := range []string{"account.", "account.x", "account..", "account.AC1.api.bt0123456789abcdef.CH1", "account." + account + ".api.CH1", "account." + account + "..bt0123456789abcdef.x", "account." + account + ".api.bt0123456789abcdef.x.y"} {
		_, err := access.FromSubject(rest)
		require.ErrorIs(t, err, access.ErrAuthority, rest)
	}
}

func FuzzAuthority(f *testing.F) {
	f.Add("account." + account + ".api+user.bt0123456789abcdef.CH1")
	f.Add("account..")
	f.Fuzz(func(t *testing.T, rest string) {
		a, err := access.FromSubject(rest)
		if err == nil && a != nil && a.Subject(rest[strings.LastIndexByte(rest, '.')+1:]) != rest {
			t.Errorf("%q is read as %v", rest, a)
		}
	})
}

// Nothing of a token's rules reaches beyond its account, its id and its own inboxes.
func TestRulesNameTheTokenOrItsAccount(t *testing.T) {
	made, _, err := access.New(wish(access.Commands, access.Events), "ann", now)
	require.NoError(t, err)
	rules := made.Rules()
	for _, r := range append(rules.Requests, rules.Messages...) {
		require.True(t, strings.Contains(r.Outside, made.ID) || strings.HasPrefix(r.Outside, "parley.events."+account+"."), r.Outside)
		require.Equal(t, strings.Count(r.Outside, "*")+strings.Count(r.Outside, ">"), strings.Count(r.Inside, "*")+strings.Count(r.Inside, ">"), r.Inside)
	}
	for _, subject := range rules.Publish {
		require.True(t, subject == "parley.call.*" || subject == "parley.commands.*" || strings.Contains(subject, "PARLEY_EVENTS."+made.ID), subject)
	}
	_, err = json.Marshal(rules)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("_INBOX_%s.>", made.ID), rules.Subscribe[1])
}
