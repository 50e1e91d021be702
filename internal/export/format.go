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

// bufferBytes are gathered before they are written.
const bufferBytes = 64 << 10

// lines are rows as JSON, one to a line.
type lines struct {
	buffer *bufio.Writer
	cells  *cells // nil: wide
	line   []byte
	quoted bytes.Buffer
	quote  *json.Encoder // into quoted
}

func newLines(w io.Writer, eventType string) *lines {
	l := &lines{buffer: bufio.NewWriterSize(w, bufferBytes)}
	if eventType != "" {
		l.cells = newCells(eventType)
	}
	l.quote = json.NewEncoder(&l.quoted)
	l.quote.SetEscapeHTML(false)
	return l
}

func (l *lines) write(r *record) error {
	l.line = l.line[:0]
	if l.cells == nil {
		for i, v := range r.values() {
			l.add(wideColumns[i], text, v)
		}
	} else if err := l.cells.take(r); err != nil {
		return err
	} else {
		for i, c := range l.cells.columns {
			l.add(c.name, c.sort, l.cells.value(i))
		}
	}
	l.line[0] = '{'
	_, err := l.buffer.Write(append(l.line, "}\n"...))
	return err
}

// add appends a field to the line.
func (l *lines) add(name string, of sort, value any) {
	l.line = append(append(append(l.line, `,"`...), name...), `":`...)
	switch v := value.(type) {
	case nil:
		l.line = append(l.line, "null"...)
	case string:
		l.addText(of, v)
	case uint64:
		l.line = strconv.AppendUint(l.line, v, 10)
	case int64:
		l.line = strconv.AppendInt(l.line, v, 10)
	case bool:
		l.line = strconv.AppendBool(l.line, v)
	case time.Time:
		l.line = append(v.AppendFormat(append(l.line, '"'), time.RFC3339Nano), '"')
	default:
		l.line = append(l.line, asJSON(v)...)
	}
}

// addText appends a text. Most are plain, and are not given to the encoder.
func (l *lines) addText(of sort, s string) {
	switch {
	case of == nested:
		l.line = append(l.line, s...)
	case plain(s):
		l.line = append(append(append(l.line, '"'), s...), '"')
	default:
		l.quoted.Reset()
		_ = l.quote.Encode(s) // any text can be
		l.line = append(l.line, bytes.TrimSuffix(l.quoted.Bytes(), []byte("\n"))...)
	}
}

// plain reports whether a text stands between quotes as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func (l *lines) close() error { return l.buffer.Flush() }

// sheet is rows as CSV.
type sheet struct {
	*csv.Writer
	cells *cells // nil: wide
	line  []string
}

func newSheet(w io.Writer, eventType string) (*sheet, error) {
	s := &sheet{Writer: csv.NewWriter(bufio.NewWriterSize(w, bufferBytes))}
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

func (s *sheet) write(r *record) error {
	s.line = s.line[:0]
	if s.cells == nil {
		for _, v := range r.values() {
			s.line = append(s.line, asText(v))
		}
		return s.Write(s.line)
	}
	if err := s.cells.take(r); err != nil {
		return err
	}
	for i := range s.cells.columns {
		s.line = append(s.line, asText(s.cells.value(i)))
	}
	return s.Write(s.line)
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
	case []string:
		if len(v) == 0 {
			return "[]"
		}
	}
	return asJSON(v)
}

func (s *sheet) close() error {
	s.Flush()
	return s.Error()
}
