package export

import (
	"errors"
	"io"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// Bounds of what is in memory for a columnar file: rows and bytes of a row group, and
// rows that it is given at a time.
const (
	groupRows  = 50_000
	groupBytes = 64 << 20
	batchRows  = 512
)

// compression is the quick one: an export is to keep up with reading the log.
var compression = &zstd.Codec{Level: zstd.SpeedFastest}

func columnarOptions(more ...parquet.WriterOption) []parquet.WriterOption {
	return append(more, parquet.Compression(compression), parquet.MaxRowsPerRowGroup(groupRows), parquet.CreatedBy("parley", "", ""))
}

// columnar is rows as Parquet: of the wide table as they are, of others taken apart.
type columnar[R any] struct {
	out interface {
		Write(rows []R) (int, error)
		Flush() error
		Close() error
	}
	take  func(to *R, r *record) error
	batch []R
	bytes int
}

func newColumnar(out *parquet.GenericWriter[Row], take func(to *Row, r *record) error) *columnar[Row] {
	return &columnar[Row]{out: out, take: take, batch: make([]Row, 0, batchRows)}
}

func wideRow(to *Row, r *record) error {
	*to = r.Row
	return nil
}

func (c *columnar[R]) write(r *record) error {
	c.batch = c.batch[:len(c.batch)+1]
	if err := c.take(&c.batch[len(c.batch)-1], r); err != nil {
		c.batch = c.batch[:len(c.batch)-1]
		return err
	}
	c.bytes += len(r.Data)
	if len(c.batch) < cap(c.batch) && c.bytes < groupBytes {
		return nil
	}
	return c.flush()
}

func (c *columnar[R]) flush() error {
	_, err := c.out.Write(c.batch)
	c.batch = c.batch[:0]
	if err == nil && c.bytes >= groupBytes {
		c.bytes = 0
		err = c.out.Flush()
	}
	return err
}

func (c *columnar[R]) close() error { return errors.Join(c.flush(), c.out.Close()) }

// typedColumnar writes rows that were taken apart.
type typedColumnar struct{ *parquet.GenericWriter[any] }

func (t typedColumnar) Write(rows []parquet.Row) (int, error) { return t.WriteRows(rows) }

func newTypedColumnar(w io.Writer, eventType string) rowWriter {
	cells := newCells(eventType)
	out := parquet.NewGenericWriter[any](w, columnarOptions(schemaOf(eventType, cells.columns))...)
	return &columnar[parquet.Row]{out: typedColumnar{out}, batch: make([]parquet.Row, 0, batchRows), take: func(to *parquet.Row, r *record) error {
		*to = (*to)[:0]
		if err := cells.take(r); err != nil {
			return err
		}
		for i := range cells.columns {
			*to = cells.appendValue(*to, i)
		}
		return nil
	}}
}

// appendValue appends what a row has in a column. What may be NULL has a level of
// definition, and a list one of repetition.
func (c *cells) appendValue(row parquet.Row, i int) parquet.Row {
	level := 0
	if c.columns[i].nullable() {
		level = 1
	}
	switch v := c.value(i).(type) {
	case nil:
		return append(row, parquet.NullValue().Level(0, 0, i))
	case time.Time:
		return append(row, parquet.Int64Value(v.UnixMicro()).Level(0, level, i))
	case []string:
		for n, one := range v {
			row = append(row, parquet.ValueOf(one).Level(min(n, 1), 1, i))
		}
		if len(v) == 0 {
			row = append(row, parquet.NullValue().Level(0, 0, i))
		}
		return row
	default:
		return append(row, parquet.ValueOf(v).Level(0, level, i))
	}
}
