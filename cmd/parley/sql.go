package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/projections"
)

// maxQuery bounds the text of a query.
const maxQuery = 1 << 20

func sqlCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "sql QUERY", Short: "Ask the read models and the log in SQL",
		Long: `Ask the read models and the log in the SQL of SQLite, whether or not a server runs.
Nothing can be written. The views:

  conversations, messages, participants, receipts   what there is now
  timers            what comes up, and when
  events            the log: one row for each event, its payload as JSON in data
  state_intervals   the states of each conversation, from when to when, and why

"parley sql 'select * from events limit 1'" shows the columns of one. Instants are
ISO 8601 text in UTC, lengths of time are seconds. events and state_intervals need the
log in the data folder; of a log in a database make a copy ("parley store copy").`,
		Example: `  parley sql "select state, count(*) as n from conversations group by state"
  parley sql "select state, avg(seconds) from state_intervals where left_at is not null group by state" -o csv
  parley sql "select type, json_extract(data, '$.body') from events where stream = 'conversation-CH…'"
  parley sql - < question.sql`,
		Args: oneArgument("query"),
	}
	flags := addReadFlags(c)
	limit := c.Flags().Duration("timeout", 30*time.Second, "how long the query may take; 0 is as long as it takes")
	c.RunE = func(c *cobra.Command, args []string) error {
		query, err := queryOf(args[0], c.InOrStdin())
		if err != nil {
			return err
		}
		return ask(c.Context(), c.OutOrStdout(), folder(*flags.data), query, *flags.output, *limit)
	}
	return c
}

func queryOf(argument string, in io.Reader) (string, error) {
	if argument != "-" {
		return argument, nil
	}
	text, err := io.ReadAll(io.LimitReader(in, maxQuery+1))
	if err == nil && len(text) > maxQuery {
		err = usage("a query takes %d bytes", maxQuery)
	}
	return string(text), err
}

// ask runs a query, which may take so long, and shows what it finds.
func ask(ctx context.Context, w io.Writer, f folder, query, output string, limit time.Duration) error {
	// Opening waits for the read models to have what was just written.
	if err := withReading(ctx, string(f), func(*reading) error { return nil }); err != nil {
		return err
	}
	log, err := filepath.Abs(f.log())
	if err != nil {
		return err
	}
	if _, err := os.Stat(log); err != nil {
		log = "" // it is in a database
	}
	sql, err := projections.OpenSQL(f.read(), log)
	if err != nil {
		return f.within(err)
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("the query took longer than %s; --timeout gives it more: %w", limit, context.DeadlineExceeded))
		defer cancel()
	}
	err = tellFound(ctx, w, sql, query, output)
	if bad := new(projections.BadSQLError); errors.As(err, &bad) {
		err = usage("%s", bad.Reason)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = context.Cause(ctx)
	}
	return errors.Join(f.within(err), sql.Close())
}

// tellFound shows rows as they come.
func tellFound(ctx context.Context, w io.Writer, sql *projections.SQL, query, output string) error {
	columns, err := sql.Columns(query)
	if err != nil {
		return err
	}
	return show(w, output, view[found]{columns, found.cells}, func(yield func(found) error) error {
		return sql.Rows(ctx, query, func(values []any) error { return yield(found{columns, values}) })
	})
}

// found is a row of an answer.
type found struct {
	columns []string
	values  []any
}

// cells are the values as text; nothing for NULL, hexadecimal digits for bytes.
func (f found) cells() []string {
	cells := make([]string, len(f.values))
	for i, value := range f.values {
		switch v := value.(type) {
		case nil:
		case float64:
			cells[i] = strconv.FormatFloat(v, 'g', -1, 64)
		case []byte:
			cells[i] = hex.EncodeToString(v)
		default:
			cells[i] = fmt.Sprint(v)
		}
	}
	return cells
}

// MarshalJSON implements json.Marshaler: an object in the order of the columns.
func (f found) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, value := range f.values {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(f.columns[i])
		if err != nil {
			return nil, err
		}
		if bytes, is := value.([]byte); is {
			value = hex.EncodeToString(bytes)
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", f.columns[i], err)
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(text)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
