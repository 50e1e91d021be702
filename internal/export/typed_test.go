package export_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/export"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// golden is an event as it was once stored.
type golden struct {
	Type     string
	Stream   string
	Metadata json.RawMessage
	Data     json.RawMessage
	Today    json.RawMessage // what a former version is read as
}

// history is a log of an event of every type that was ever stored.
func history(t *testing.T) (*memstore.Store, map[events.ID]golden) {
	files, err := filepath.Glob("../../events/testdata/golden/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	log, list := memstore.New(), map[events.ID]golden{}
	for i, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var g golden
		require.NoError(t, json.Unmarshal(text, &g))
		m, err := events.ParseMetadata(g.Metadata)
		require.NoError(t, err)
		category, _, _ := events.SplitStream(g.Stream)
		id := events.NameID(file)
		_, err = log.Append(t.Context(), events.Stream(category, strconv.Itoa(i)), store.NoStream, []events.Proposed{{ID: id, Type: g.Type, Data: g.Data, Metadata: m}})
		require.NoError(t, err)
		list[id] = g
	}
	return log, list
}

// typedRows returns the rows of a file of a typed table, each value as text, "" for NULL.
func typedRows(t *testing.T, format export.Format, content []byte) (rows []map[string]string) {
	switch format {
	case export.Parquet:
		return parquetRows(t, content)
	case export.JSONL:
		lines := bufio.NewScanner(bytes.NewReader(content))
		for lines.Scan() {
			var fields map[string]any
			decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
			decoder.UseNumber()
			require.NoError(t, decoder.Decode(&fields))
			row := map[string]string{}
			for name, v := range fields {
				row[name] = asText(t, v)
			}
			rows = append(rows, row)
		}
		return rows
	}
	table, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	require.NoError(t, err)
	for _, line := range table[1:] {
		row := map[string]string{}
		for i, name := range table[0] {
			row[name] = line[i]
			if strings.HasPrefix(line[i], "[") {
				var v any
				require.NoError(t, json.Unmarshal([]byte(line[i]), &v))
				row[name] = asText(t, v)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func parquetRows(t *testing.T, content []byte) (rows []map[string]string) {
	file, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	require.NoError(t, err)
	columns := file.Schema().Columns()
	for _, group := range file.RowGroups() {
		reader := group.Rows()
		buffer := make([]parquet.Row, group.NumRows())
		n, _ := reader.ReadRows(buffer) // with io.EOF
		require.EqualValues(t, group.NumRows(), n)
		for _, values := range buffer {
			row, lists := map[string]string{}, map[string][]string{}
			for _, v := range values {
				path := columns[v.Column()]
				if len(path) > 1 {
					lists[path[0]] = append(lists[path[0]], fmt.Sprintf("%q", v.String()))
					if v.IsNull() {
						lists[path[0]] = nil
					}
					continue
				}
				row[path[0]] = parquetText(file, path[0], v)
			}
			for name, list := range lists {
				row[name] = "[" + strings.Join(list, ",") + "]"
			}
			rows = append(rows, row)
		}
		require.NoError(t, reader.Close())
	}
	return rows
}

func parquetText(file *parquet.File, name string, v parquet.Value) string {
	leaf, _ := file.Schema().Lookup(name)
	logical := fmt.Sprint(leaf.Node.Type())
	switch {
	case v.IsNull():
		return ""
	case strings.HasPrefix(logical, "TIMESTAMP"):
		return time.UnixMicro(v.Int64()).UTC().Format(time.RFC3339Nano)
	}
	return v.String()
}

// asText is a value that came out of JSON.
func asText(t *testing.T, v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// flat is a payload as columns.
func flat(fields map[string]any, prefix string, to map[string]any) map[string]any {
	for name, v := range fields {
		if inner, object := v.(map[string]any); object {
			flat(inner, prefix+name+"_", to)
			continue
		}
		to[prefix+name] = v
	}
	return to
}

// wanted is what a column has of a value in a payload, as text.
func wanted(t *testing.T, name string, v any) string {
	if v == false || v == nil {
		return map[bool]string{true: "false", false: ""}[v == false]
	}
	text := asText(t, v)
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil && (strings.HasSuffix(name, "at") || strings.Contains(name, "date") || strings.HasSuffix(name, "due") || name == "since") {
		return at.Truncate(time.Microsecond).Format(time.RFC3339Nano)
	}
	return text
}

// Every event that can be in a log is in the table of its type of today, with all of its
// payload in columns, in every format.
func TestTypedTablesHaveEveryFieldOfEveryEvent(t *testing.T) {
	log, list := history(t)
	for _, format := range []export.Format{export.Parquet, export.JSONL, export.CSV} {
		t.Run(string(format), func(t *testing.T) {
			dir := t.TempDir()
			m, err := export.Run(t.Context(), log, export.Options{Format: format, Dir: dir})
			require.NoError(t, err)
			require.Len(t, m.Typed, len(events.Vocabulary().Types()))
			rows := 0
			for _, p := range m.Partitions {
				if p.Table != export.TypedTables {
					continue
				}
				content, err := os.ReadFile(filepath.Join(dir, p.File))
				require.NoError(t, err)
				list1 := typedRows(t, format, content)
				require.Len(t, list1, p.Events, p.File)
				for _, row := range list1 {
					rows++
					compare(t, p.Type, row, list)
				}
			}
			require.Len(t, list, rows)
		})
	}
}

func compare(t *testing.T, table string, row map[string]string, list map[events.ID]golden) {
	id, err := events.ParseID(row["event_id"])
	require.NoError(t, err)
	g := list[id]
	require.Equal(t, g.Type, row["stored_type"])
	require.Equal(t, table, events.CurrentType(g.Type))
	if g.Today != nil {
		g.Data = g.Today
	}
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(g.Data))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&fields))
	payload := flat(fields, "", map[string]any{})
	require.NotEmpty(t, payload)
	for name, v := range payload {
		if name == "type" || name == "service" {
			name = "payload_" + name
		}
		got, there := row[name]
		require.True(t, there, "%s has no column %s", table, name)
		if want := wanted(t, name, v); strings.HasPrefix(want, "[{") {
			require.JSONEq(t, want, got)
		} else {
			require.Equal(t, want, got, "%s in %s", name, table)
		}
	}
	for name := range row {
		if _, there := payload[strings.TrimPrefix(name, "payload_")]; there || envelope[name] {
			continue
		}
		require.Contains(t, []string{"", "false", "[]"}, row[name], "%s in %s is nowhere in the payload", name, table)
	}
}

var envelope = map[string]bool{
	"position": true, "position_prepare": true, "event_id": true, "stored_type": true, "category": true, "aggregate": true, "revision": true,
	"recorded_at": true, "occurred_at": true, "account_sid": true, "chat_service_sid": true, "actor_kind": true, "actor_id": true,
	"command": true, "command_id": true, "correlation_id": true, "causation_id": true,
}

// Bytes are as in a payload: base64.
func TestBytesAreTextInTypedTables(t *testing.T) {
	log, dir := memstore.New(), t.TempDir()
	kind, data, err := events.Vocabulary().Encode(events.ForeignRecorded{Type: "x", DataBase64: []byte{0, 255}})
	require.NoError(t, err)
	_, err = log.Append(t.Context(), "foreign-x", store.NoStream, []events.Proposed{{ID: events.NameID("x"), Type: kind, Data: data}})
	require.NoError(t, err)
	m, err := export.Run(t.Context(), log, export.Options{Format: export.Parquet, Dir: dir, Tables: []export.Table{export.TypedTables}})
	require.NoError(t, err)
	require.Len(t, m.Partitions, 1)
	content, err := os.ReadFile(filepath.Join(dir, m.Partitions[0].File))
	require.NoError(t, err)
	row := parquetRows(t, content)[0]
	require.Equal(t, []string{"x", base64.StdEncoding.EncodeToString([]byte{0, 255})}, []string{row["payload_type"], row["data_base64"]})
}

// What is not one of Parley's types is in the wide table, and counted.
func TestTypesOfOthersHaveNoTable(t *testing.T) {
	m, err := export.Run(t.Context(), filled(t, 10), export.Options{Format: export.Parquet, Dir: t.TempDir()})
	require.NoError(t, err)
	require.Equal(t, 10, m.Untyped)
	require.Empty(t, m.Typed)
	require.NotEmpty(t, m.Partitions)
}

// A payload that cannot be read ends an export, unless only the wide table is wanted.
func TestADamagedPayloadIsNamed(t *testing.T) {
	log := memstore.New()
	_, err := log.Append(t.Context(), "conversation-x", store.NoStream, []events.Proposed{{ID: events.NameID("x"), Type: "conversation.removed.v1", Data: []byte(`{"at":1}`)}})
	require.NoError(t, err)
	_, err = export.Run(t.Context(), log, export.Options{Format: export.CSV, Dir: t.TempDir()})
	require.ErrorContains(t, err, "event "+events.NameID("x").String()+" at position 1")
	_, err = export.Run(t.Context(), log, export.Options{Format: export.CSV, Dir: t.TempDir(), Tables: []export.Table{export.WideTable}})
	require.NoError(t, err)
}
