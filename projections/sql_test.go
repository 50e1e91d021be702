package projections_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// asked is SQL over a lively history, and the number of its conversations.
func asked(t *testing.T, withLog bool) (*projections.SQL, *world) {
	t.Helper()
	file := t.TempDir() + "/log #1.db" // a name that a URL has to escape
	log, err := sqlitestore.Open(file, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	dir, w := t.TempDir(), newWorld(5)
	rm := open(t, dir, log, nil)
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, w.grow(t, log, 500)))
	if !withLog {
		file = ""
	}
	q, err := projections.OpenSQL(dir, file)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q, w
}

func number(t *testing.T, q *projections.SQL, query string) (n int64) {
	t.Helper()
	require.NoError(t, q.Rows(t.Context(), query, func(values []any) error {
		n = values[0].(int64)
		return nil
	}), query)
	return n
}

func TestEveryViewAnswers(t *testing.T) {
	q, _ := asked(t, true)
	for _, view := range projections.SQLViews {
		columns, err := q.Columns("SELECT * FROM " + view)
		require.NoError(t, err)
		require.Greater(t, len(columns), 5, view)
		rows := int64(0)
		require.NoError(t, q.Rows(t.Context(), "SELECT * FROM "+view, func(values []any) error {
			require.Len(t, values, len(columns))
			rows++
			return nil
		}))
		require.Equal(t, rows, number(t, q, "SELECT count(*) FROM "+view), view)
		require.Positive(t, rows, view)
	}
	require.Equal(t, number(t, q, "SELECT count(*) FROM conversations"),
		number(t, q, "SELECT count(*) FROM state_intervals WHERE left_at IS NULL"), "each is in one state now")
	require.Zero(t, number(t, q, `SELECT count(*) FROM conversations c JOIN state_intervals s ON s.conversation_sid = c.sid
		WHERE s.left_at IS NULL AND s.state <> c.state`))
	require.Zero(t, number(t, q, "SELECT count(*) FROM state_intervals WHERE seconds < 0"))
}

func TestOnlyViewsAreSeen(t *testing.T) {
	q, _ := asked(t, true)
	for _, query := range []string{
		"SELECT * FROM main.conversation", "SELECT data FROM log.events", "SELECT sql FROM sqlite_master", "SELECT * FROM pragma_database_list",
		"SELECT (SELECT name FROM sqlite_temp_master LIMIT 1)", "WITH x AS (SELECT * FROM api_key) SELECT * FROM x", "PRAGMA query_only = OFF",
		"UPDATE conversation SET sid = ''", "DROP VIEW conversations", "VACUUM INTO 'x'", "EXPLAIN SELECT * FROM main.user",
	} {
		_, err := q.Columns(query)
		require.ErrorAs(t, err, new(*projections.BadSQLError), query)
	}
	require.Error(t, q.Rows(t.Context(), "SELECT load_extension('x')", func([]any) error { return nil }))
}

func TestWithoutALogThereAreNoEvents(t *testing.T) {
	q, _ := asked(t, false)
	require.Positive(t, number(t, q, "SELECT count(*) FROM messages"))
	_, err := q.Columns("SELECT * FROM events")
	require.ErrorContains(t, err, "the log is in a database")
}

func TestAQuestionEndsWithItsContext(t *testing.T) {
	q, _ := asked(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	endless := "WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
	require.ErrorIs(t, q.Rows(ctx, endless, func([]any) error { return nil }), context.DeadlineExceeded)
	require.ErrorIs(t, q.Rows(ctx, strings.Replace(endless, "SELECT x FROM n", "SELECT count(x) FROM n", 1), func([]any) error { return nil }), context.DeadlineExceeded)
	require.Positive(t, number(t, q, "SELECT count(*) FROM messages"), "it is of use afterwards")
}
