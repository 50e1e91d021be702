package projections

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// How SQLite reads a list does not depend on what is in the tables: nothing
// collects statistics.
func reader(t *testing.T) *sqlite.Conn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "empty.db")
	g, err := newGeneration(path, 10, false)
	require.NoError(t, err)
	require.NoError(t, g.close())
	conn, err := openReader(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

func explain(t *testing.T, conn *sqlite.Conn, sql string, args ...any) (steps []string) {
	t.Helper()
	require.NoError(t, sqlitex.ExecuteTransient(conn, "EXPLAIN QUERY PLAN "+sql, &sqlitex.ExecOptions{
		Args:       args,
		ResultFunc: func(stmt *sqlite.Stmt) error { steps = append(steps, stmt.ColumnText(3)); return nil },
	}))
	return steps
}

// plans is how the first page of a list is read from both of its ends, and a
// page behind a row.
func plans[R any](t *testing.T, conn *sqlite.Conn, l listing[R]) (all [][]string) {
	t.Helper()
	for _, page := range []Page{{}, {Back: true}, {After: byText("x", 7)}, {After: byText("x", 7), Back: true}} {
		tail, args := l.tail(page)
		all = append(all, explain(t, conn, "SELECT "+names(l.columns)+" "+tail, args...))
	}
	return all
}

func TestEveryPageIsReadThroughAnIndexInTheOrderOfItsList(t *testing.T) {
	conn, c := reader(t), Conversation{id: 1}
	from, to := time.UnixMilli(1), time.UnixMilli(2)
	for name, list := range map[string][][]string{
		"conversations":                      plans(t, conn, conversationsOf(ConversationFilter{})),
		"conversations, oldest first":        plans(t, conn, conversationsOf(ConversationFilter{Ascending: true})),
		"conversations in a state":           plans(t, conn, conversationsOf(ConversationFilter{State: "active"})),
		"conversations from":                 plans(t, conn, conversationsOf(ConversationFilter{From: from, Ascending: true})),
		"conversations to":                   plans(t, conn, conversationsOf(ConversationFilter{To: to})),
		"conversations between":              plans(t, conn, conversationsOf(ConversationFilter{From: from, To: to, Ascending: true})),
		"conversations in a state between":   plans(t, conn, conversationsOf(ConversationFilter{State: "closed", From: from, To: to})),
		"messages":                           plans(t, conn, messagesOf(c, false)),
		"messages, newest first":             plans(t, conn, messagesOf(c, true)),
		"participants":                       plans(t, conn, participantsOf(c)),
		"users":                              plans(t, conn, usersOf("IS1")),
		"roles":                              plans(t, conn, rolesOf("IS1")),
		"participant conversations":          plans(t, conn, participationsOf("identity", "IS1", "alba")),
		"participant conversations, address": plans(t, conn, participationsOf("address", "IS1", "+1")),
		"services":                           plans(t, conn, servicesOf("AC1")),
		"removed services":                   plans(t, conn, removedServices()),
		"API keys":                           plans(t, conn, apiKeysOf("AC1")),
		"credentials":                        plans(t, conn, credentialsOf("AC1")),
		"push bindings":                      plans(t, conn, pushBindingsOf(PushBindingFilter{})),
		"push bindings of a type":            plans(t, conn, pushBindingsOf(PushBindingFilter{Types: []string{"apn"}})),
		"address configurations":             plans(t, conn, addressConfigurationsOf(AddressConfigurationFilter{})),
		"address configurations of a type":   plans(t, conn, addressConfigurationsOf(AddressConfigurationFilter{Type: "sms"})),
		"media of a service":                 plans(t, conn, mediaOf("IS1")),
	} {
		for _, plan := range list {
			for _, step := range plan {
				require.NotContains(t, step, "TEMP B-TREE", name)
				require.False(t, strings.HasPrefix(step, "SCAN") && !bounded[step], "%s: %s", name, step)
			}
		}
	}
}

// bounded names the scans that are of no table: of a parameter, and of an index
// that has the rows of the list and no others.
var bounded = map[string]bool{
	"SCAN json_each VIRTUAL TABLE INDEX 1:": true,
	"SCAN service USING INDEX service_2":    true,
}

// However many conversations there are, and of however many instants: a page
// begins at its row.
func TestAPageOfConversationsBeginsAtItsRow(t *testing.T) {
	conn, from, to := reader(t), time.UnixMilli(1), time.UnixMilli(2)
	for _, filter := range []ConversationFilter{{}, {From: from}, {To: to}, {From: from, To: to}} {
		for _, filter.Ascending = range []bool{false, true} {
			for state, entered := range map[string]string{"": "(chat_service_sid=?", "closed": "(chat_service_sid=? AND state=?"} {
				filter.State = state
				all := plans(t, conn, conversationsOf(filter))
				for _, plan := range all[2:] {
					require.Len(t, plan, 1)
					require.Contains(t, plan[0], entered)
					require.Contains(t, plan[0], "(date_created,rowid)")
				}
			}
		}
	}
}

func TestWhatIsOfAnIdentityIsReadByIt(t *testing.T) {
	conn := reader(t)
	member := ConversationFilter{Service: "IS1", Member: "alba", State: "active", From: time.UnixMilli(1), To: time.UnixMilli(2)}
	for _, plan := range plans(t, conn, conversationsOf(member)) {
		require.Equal(t, []string{
			"SEARCH conversation USING INTEGER PRIMARY KEY (rowid=?)", "LIST SUBQUERY 1",
			"SEARCH participant USING INDEX participant_1 (identity=? AND chat_service_sid=?)", "USE TEMP B-TREE FOR ORDER BY",
		}, plan)
	}
	devices := PushBindingFilter{Types: []string{"apn"}, Identities: []string{"alba", "bo"}}
	for _, plan := range plans(t, conn, pushBindingsOf(devices)) {
		require.Contains(t, plan[0], "SEARCH push_binding USING INDEX push_binding_2 (chat_service_sid=? AND identity=?")
	}
}

func TestHeldMediaAreFoundByTheirHash(t *testing.T) {
	plan := explain(t, reader(t), "SELECT 1 FROM media WHERE sha256 = ?", "00")
	require.Len(t, plan, 1)
	require.Regexp(t, `SEARCH media USING (COVERING )?INDEX media_2 \(sha256=\?\)`, plan[0])
}
