package export

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
)

// Format is how rows are written.
type Format string

// The formats, which are the endings of the files too.
const (
	Parquet Format = "parquet"
	JSONL   Format = "jsonl"
	CSV     Format = "csv"
)

// Known reports whether there is such a format.
func (f Format) Known() bool { return f == Parquet || f == JSONL || f == CSV }

// rowWriter takes rows until it is closed.
type rowWriter interface {
	write(r *record) error
	close() error
}

// writer writes rows of the wide table, or of that of a type.
func (f Format) writer(w io.Writer, eventType string) (rowWriter, error) {
	switch {
	case f == Parquet && eventType == "":
		return newColumnar(parquet.NewGenericWriter[Row](w, columnarOptions()...), wideRow), nil
	case f == Parquet:
		return newTypedColumnar(w, eventType), nil
	case f == JSONL:
		return newLines(w, eventType), nil
	}
	return newSheet(w, eventType)
}

// lines are rows as JSON, one to a line.
type lines struct {
	buffer *bufio.Writer
	wide   *json.Encoder
	cells  *cells // nil: wide
	line   bytes.Buffer
	quote  *json.Encoder // into line
}

func newLines(w io.Writer, eventType string) *lines {
	l := &lines{buffer: bufio.NewWriterSize(w, 1<<16)}
	if eventType != "" {
		l.cells = newCells(eventType)
	}
	l.wide, l.quote = json.NewEncoder(l.buffer), json.NewEncoder(&l.line)
	l.wide.SetEscapeHTML(false)
	l.quote.SetEscapeHTML(false)
	return l
}

func (l *lines) write(r *record) error {
	if l.cells == nil {
		return l.wide.Encode(&r.Row)
	}
	if err := l.cells.take(r); err != nil {
		return err
	}
	l.line.Reset()
	for i, c := range l.cells.columns {
		v := l.cells.value(i)
		l.line.WriteString(map[bool]string{true: `{"`, false: `,"`}[i == 0] + c.name + `":`)
		if v != nil && c.sort == nested {
			v = json.RawMessage(v.(string)) //nolint:forcetypeassert // is what it holds
		}
		if err := l.quote.Encode(v); err != nil {
			return err
		}
		l.line.Truncate(l.line.Len() - 1) // the end of a line
	}
	l.line.WriteString("}\n")
	_, err := l.buffer.Write(l.line.Bytes())
	return err
}

func (l *lines) close() error { return l.buffer.Flush() }

// sheet is rows as CSV.
type sheet struct {
	*csv.Writer
	cells *cells // nil: wide
}

func newSheet(w io.Writer, eventType string) (sheet, error) {
	s := sheet{Writer: csv.NewWriter(w)}
	if eventType == "" {
		return s, s.Write(wideColumns)
	}
	s.cells = newCells(eventType)
	names := make([]string, len(s.cells.columns))
	for i, c := range s.cells.columns {
		names[i] = c.name
	}
	return s, s.Write(names)
}

func (s sheet) write(r *record) error {
	if s.cells == nil {
		return s.Write(r.cells())
	}
	if err := s.cells.take(r); err != nil {
		return err
	}
	line := make([]string, len(s.cells.columns))
	for i := range line {
		line[i] = asText(s.cells.value(i))
	}
	return s.Write(line)
}

func asText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case uint64:
		return strconv.FormatUint(v, 10)
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	}
	return asJSON(v)
}

func (s sheet) close() error {
	s.Flush()
	return s.Error()
}
