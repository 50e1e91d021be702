package duckdb_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the driver
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/export"
)

// exported writes the history as Parquet into the folder history of a folder that the
// process is in then, as the docs have it.
func exported(t *testing.T) *export.Manifest {
	t.Chdir(t.TempDir())
	m, err := export.Run(t.Context(), history(t), export.Options{Format: export.Parquet, Dir: "history"})
	require.NoError(t, err)
	return m
}

func open(t *testing.T) *sql.Conn {
	db, err := sql.Open("duckdb", "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	session, err := db.Conn(context.Background())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, session.Close()) })
	return session
}

// ask returns the rows, the names of the columns first, the values between bars.
func ask(t *testing.T, session *sql.Conn, question string) string {
	rows, err := session.QueryContext(t.Context(), question)
	require.NoError(t, err, question)
	defer rows.Close() //nolint:errcheck // its error is Err's
	names, err := rows.Columns()
	require.NoError(t, err)
	list := []string{strings.Join(names, "|")}
	for rows.Next() {
		values, at := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			at[i] = &values[i]
		}
		require.NoError(t, rows.Scan(at...))
		line := make([]string, len(names))
		for i, v := range values {
			line[i] = fmt.Sprint(v)
			if day, is := v.(time.Time); is {
				line[i] = day.Format(time.DateOnly)
			}
		}
		list = append(list, strings.Join(line, "|"))
	}
	require.NoError(t, rows.Err())
	return lines(list...)
}

// questions are the statements of the docs: the views, and what is asked of them.
func questions(t *testing.T) (views string, list []string) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "analytics.md"))
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## Ten questions in DuckDB\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	for i, block := range strings.Split(section, "```sql\n")[1:] {
		statement, _, closed := strings.Cut(block, "```")
		require.True(t, closed)
		if i == 0 {
			views = statement
			continue
		}
		list = append(list, statement)
	}
	return views, list
}

// Every question of the docs has the answer that was worked out by hand.
func TestQuestionsOfTheDocsAreAnswered(t *testing.T) {
	views, list := questions(t)
	require.Len(t, list, len(answers))
	exported(t)
	session := open(t)
	_, err := session.ExecContext(t.Context(), views)
	require.NoError(t, err)
	for i, question := range list {
		assert.Equal(t, answers[i], ask(t, session, question), question)
	}
}

// The columns have the types that the docs promise, those of the folders' names too.
func TestColumnsHaveTypes(t *testing.T) {
	exported(t)
	session := open(t)
	const messages = "read_parquet('history/typed/type=conversation.message-added.v1/**/*.parquet', hive_partitioning = true)"
	got := ask(t, session, "select column_name, column_type from (describe from "+messages+")")
	for name, kind := range map[string]string{
		"position": "UBIGINT", "recorded_at": "TIMESTAMP WITH TIME ZONE", "actor_kind": "VARCHAR", "index": "BIGINT", "body": "VARCHAR",
		"media": "JSON", "recipients": "VARCHAR[]", "at": "TIMESTAMP WITH TIME ZONE", "type": "VARCHAR", "service": "VARCHAR", "day": "DATE",
	} {
		require.Contains(t, got+"\n", "\n"+name+"|"+kind+"\n")
	}
	require.Equal(t, lines("n|sizes|nobody", "11|77|8"), ask(t, session, `select count(*) as n, sum(cast(media->'$[0].size' as bigint))::bigint as sizes,
		count(*) filter (len(recipients) = 0) as nobody from `+messages))
}

// All typed tables can be read as one, and the wide one has what they have and more; a
// day or a service is looked up by its folder.
func TestTablesAreReadTogether(t *testing.T) {
	m := exported(t)
	session := open(t)
	const typed = "read_parquet('history/typed/**/*.parquet', hive_partitioning = true, union_by_name = true)"
	require.Equal(t, lines("n", fmt.Sprint(len(happenings))), ask(t, session, "select count(*) as n from "+typed))
	require.Equal(t, lines("n", fmt.Sprint(m.Events)), ask(t, session, "select count(*) as n from 'history/wide/**/*.parquet'"))
	require.Equal(t, lines("n", "9"), ask(t, session, "select count(*) as n from "+typed+" where day = '2000-01-02' and service = '"+service+"' and type <> 'conversation.state-changed.v1'"))
	require.Equal(t, lines("n", "0"), ask(t, session, "select count(*) as n from "+typed+" t anti join 'history/wide/**/*.parquet' w using (event_id)"))
}
