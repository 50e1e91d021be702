package archtest

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// room is a folder and what it may import of this module besides itself.
type room struct {
	folder string
	uses   []string // rooms, with all below them; "=store" is that package alone
	why    string   // said of every other arrow out of it
}

// rooms is the drawing of docs/architecture.md. A folder belongs to the first
// room it lies in.
var rooms = []room{
	{"events", nil, "events is the stored vocabulary: it knows nobody"},
	{"domain", []string{"events"}, "decisions are pure: the domain knows the vocabulary and nothing that runs"},
	{"store", []string{"events"}, "the log carries events of any domain and serves whoever follows it"},
	{"projections", []string{"=store", "events"}, "a read model that shares the write model's state is a second write model"},
	{"timers", []string{"events"}, "timers fire through a function given by cmd, and decide nothing"},
	{"internal/engine", []string{"domain", "=store", "events"}, "the engine joins domain and store, and nobody else"},
	{"internal/conformance", []string{"events", "internal/esdbwire", "store"}, "a program of its own that serves what it tests"},
	{"internal/generate", []string{"events", "domain", "internal/engine", "internal/bus", "internal/httpapi"}, "documents are made from what is declared"},
	{"internal/crashtest", []string{"cmd", "internal", "store", "projections", "events", "domain"}, "a test of the whole"},
	{"internal/webhooks", []string{"internal/reactor", "internal/engine", "projections", "domain", "=store", "events"}, "adapters meet in the engine, never each other; what reactors share is theirs"},
	{"internal/channels", []string{"internal/reactor", "internal/engine", "projections", "domain", "=store", "events"}, "adapters meet in the engine, never each other; what reactors share is theirs"},
	{"internal", []string{"internal/engine", "projections", "domain", "=store", "events"}, "adapters meet in the engine, never each other; cmd wires them"},
	{"cmd", []string{"domain", "events", "store", "projections", "timers", "internal"}, "cmd wires everything"},
}

// testLibraries must not reach a production binary, but where they are at home.
var testLibraries = []string{
	"testing", "github.com/stretchr/testify", "pgregory.net/rapid", "github.com/anishathalye/porcupine",
	"go.uber.org/goleak", "github.com/rogpeppe/go-internal/testscript", "github.com/twilio/twilio-go",
	"github.com/fiorix/go-smpp",
}

// homes are the only folders where a test library is production code: what our
// tests use to play a client of Twilio's drives Twilio in its adapter.
var homes = map[string]string{"github.com/twilio/twilio-go": "internal/channels/twilio"}

// silent are the standard packages that neither look at the world nor act on it.
var silent = []string{
	"bytes", "cmp", "crypto/sha1", "crypto/sha256", "encoding", "encoding/base64", "encoding/binary", "encoding/hex",
	"encoding/json", "errors", "fmt", "iter", "maps", "math", "math/bits", "net/url", "reflect", "regexp", "slices",
	"sort", "strconv", "strings", "time", "unicode", "unicode/utf8",
}

// foreign says which packages from outside this module a room may use; a room
// that is not named may use any.
var foreign = []struct {
	folder string
	allow  []string
	why    string
}{
	{"events", silent, "events imports silent standard packages only"},
	{"domain", silent, "domain imports silent standard packages only: no clock, randomness, I/O, context, logger or lock"},
	{"timers", []string{"github.com/robfig/cron/v3"}, "of other people's code timers needs cron"},
}

func TestArrowsPointDownTheDrawing(t *testing.T) {
	for _, f := range source(t) {
		for _, path := range f.imports() {
			if why := forbidden(f, path); why != "" {
				t.Errorf("%s imports %s: %s", f.path, path, why)
			}
		}
	}
}

// forbidden returns why the file must not import the path; empty if it may.
// Tests may stand on anything but a command.
func forbidden(f file, path string) string {
	target, inside := strings.CutPrefix(path, module+"/")
	switch {
	case inside && in(target, "cmd"):
		return "nobody imports cmd"
	case f.test():
		return ""
	case inside && testPackage(target) && !testPackage(f.folder):
		return target + " is for tests"
	case inside:
		return forbiddenRoom(f.folder, target)
	case testLibrary(path, f.folder) && !testPackage(f.folder):
		return "test libraries stay out of the binary"
	default:
		return forbiddenForeign(f.folder, path)
	}
}

func forbiddenRoom(folder, target string) string {
	r := roomOf(folder)
	if r == nil {
		return "the folder is in no room: name it in internal/archtest"
	}
	if in(target, home(r, folder)) {
		return ""
	}
	for _, use := range r.uses {
		only, exact := strings.CutPrefix(use, "=")
		if exact && target == only || !exact && in(target, use) {
			return ""
		}
	}
	return r.why
}

// home is the part of the house a folder shares with its own kind. Each adapter
// of internal is at home in its own folder only.
func home(r *room, folder string) string {
	if r.folder != "internal" {
		return r.folder
	}
	parts := strings.SplitN(folder, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

func roomOf(folder string) *room {
	for i := range rooms {
		if in(folder, rooms[i].folder) {
			return &rooms[i]
		}
	}
	return nil
}

func forbiddenForeign(folder, path string) string {
	for _, rule := range foreign {
		if !in(folder, rule.folder) || slices.Contains(rule.allow, path) {
			continue
		}
		if standard := !strings.Contains(strings.SplitN(path, "/", 2)[0], "."); rule.folder == "timers" && standard {
			continue
		}
		return rule.why
	}
	return ""
}

// testPackage reports whether the folder holds test code by name: storetest.
func testPackage(folder string) bool { return strings.HasSuffix(folder, "test") }

func testLibrary(path, folder string) bool {
	return slices.ContainsFunc(testLibraries, func(lib string) bool { return in(path, lib) && homes[lib] != folder })
}

// The rules themselves: what they must refuse and what they must let through.
func TestTheRulesRefuseBrokenArrows(t *testing.T) {
	for _, row := range []struct {
		from, path string
		why        string // empty: allowed
	}{
		{"events/a.go", module + "/domain", "knows nobody"},
		{"events/a.go", "github.com/google/uuid", "standard packages only"},
		{"events/a.go", "log/slog", "standard packages only"},
		{"events/a.go", "strings", ""},
		{"domain/role/a.go", module + "/events", ""},
		{"domain/role/a.go", module + "/domain/duration", ""},
		{"domain/role/a.go", module + "/store", "decisions are pure"},
		{"domain/a.go", "context", "no clock"},
		{"domain/a.go", "math/rand/v2", "no clock"},
		{"domain/a.go", "sync", "no clock"},
		{"domain/a_test.go", "sync", ""},
		{"store/a.go", module + "/domain", "carries events of any domain"},
		{"store/sqlitestore/a.go", module + "/store", ""},
		{"store/sqlitestore/a.go", "zombiezen.com/go/sqlite", ""},
		{"store/sqlitestore/a.go", module + "/store/storetest", "is for tests"},
		{"store/sqlitestore/a_test.go", module + "/store/storetest", ""},
		{"store/storetest/a.go", "github.com/stretchr/testify/require", ""},
		{"store/a.go", "testing", "out of the binary"},
		{"projections/a.go", module + "/domain", "second write model"},
		{"projections/a.go", module + "/store", ""},
		{"projections/a.go", module + "/store/sqlitestore", "second write model"},
		{"timers/a.go", module + "/domain/duration", "decide nothing"},
		{"timers/a.go", "github.com/robfig/cron/v3", ""},
		{"timers/a.go", "golang.org/x/sync/errgroup", "needs cron"},
		{"timers/a.go", "context", ""},
		{"internal/engine/a.go", module + "/projections", "joins domain and store"},
		{"internal/engine/a.go", module + "/store/memstore", "joins domain and store"},
		{"internal/engine/a.go", module + "/domain/user", ""},
		{"internal/bus/a.go", module + "/internal/httpapi", "never each other"},
		{"internal/bus/a.go", module + "/internal/bus/pubsub", ""},
		{"internal/bus/a.go", module + "/internal/engine", ""},
		{"internal/bus/a.go", module + "/timers", "never each other"},
		{"internal/newcomer/a.go", module + "/internal/bus", "never each other"},
		{"internal/webhooks/a.go", module + "/internal/reactor/past", ""},
		{"internal/webhooks/a.go", module + "/internal/channels", "never each other"},
		{"internal/channels/smpp/a.go", module + "/internal/channels/carrier", ""},
		{"internal/reactor/a.go", module + "/internal/webhooks", "never each other"},
		{"internal/bus/a.go", module + "/internal/reactor", "never each other"},
		{"internal/bus/a.go", module + "/cmd/parley", "nobody imports cmd"},
		{"internal/bus/a_test.go", module + "/cmd/parley", "nobody imports cmd"},
		{"cmd/parley/a.go", module + "/internal/bus", ""},
		{"cmd/parley/a.go", "go.uber.org/goleak", "out of the binary"},
		{"internal/channels/twilio/a.go", "github.com/twilio/twilio-go/client", ""},
		{"internal/channels/twilio/deeper/a.go", "github.com/twilio/twilio-go/client", "out of the binary"},
		{"internal/channels/gateway/a.go", "github.com/twilio/twilio-go/client", "out of the binary"},
		{"internal/channels/twilio/a.go", "github.com/fiorix/go-smpp/smpp", "out of the binary"},
		{"internal/channels/smpp/a_test.go", "github.com/fiorix/go-smpp/smpp/smpptest", ""},
		{"internal/channels/smpp/a.go", module + "/internal/channels/carrier", ""},
		{"attic/a.go", module + "/events", "in no room"},
	} {
		f := parse(t, row.from, row.from, "package a")
		why := forbidden(f, row.path)
		if row.why == "" {
			require.Empty(t, why, "%s imports %s", row.from, row.path)
			continue
		}
		require.Contains(t, why, row.why, "%s imports %s", row.from, row.path)
	}
}
