package export

import (
	"bufio"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"

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

// packed is the format in which rows wait for their columns: the cells, each behind its
// length.
const packed Format = "packed"

// gathered is the format in which rows are gathered: one whose files can be gone on with.
func (f Format) gathered() Format {
	if f == Parquet {
		return packed
	}
	return f
}

// rowWriter takes rows until it is closed.
type rowWriter interface {
	write(r *Row) error
	close() error
}

// gatherer appends rows to a file, which may be new.
func (f Format) gatherer(w io.Writer, isNew bool) (rowWriter, error) {
	switch f {
	case packed:
		return cells{bufio.NewWriter(w)}, nil
	case JSONL:
		buffer := bufio.NewWriter(w)
		encoder := json.NewEncoder(buffer)
		encoder.SetEscapeHTML(false)
		return lines{buffer, encoder}, nil
	}
	c := csv.NewWriter(w)
	if isNew {
		return table{c}, c.Write(columns)
	}
	return table{c}, nil
}

// lines are rows as JSON, one to a line.
type lines struct {
	buffer  *bufio.Writer
	encoder *json.Encoder
}

func (l lines) write(r *Row) error { return l.encoder.Encode(r) }
func (l lines) close() error       { return l.buffer.Flush() }

type cells struct{ *bufio.Writer }

func (c cells) write(r *Row) error {
	var size [binary.MaxVarintLen64]byte
	for _, text := range r.cells() {
		_, _ = c.Write(size[:binary.PutUvarint(size[:], uint64(len(text)))])
		if _, err := c.WriteString(text); err != nil {
			return err // of either: it stays
		}
	}
	return nil
}

func (c cells) close() error { return c.Flush() }

type table struct{ *csv.Writer }

func (t table) write(r *Row) error { return t.Write(r.cells()) }

func (t table) close() error {
	t.Flush()
	return t.Error()
}

// rowGroup bounds the rows that are in memory for a columnar file, and rowBatch those
// that it is given at a time.
const (
	rowGroup = 50_000
	rowBatch = 512
)

// toParquet writes packed rows as columns.
func toParquet(out io.Writer, in io.Reader) error {
	w := parquet.NewGenericWriter[Row](out, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(rowGroup), parquet.CreatedBy("parley", "", ""))
	batch := make([]Row, 0, rowBatch)
	flush := func() error {
		_, err := w.Write(batch)
		batch = batch[:0]
		return err
	}
	err := readCells(in, func(r *Row) error {
		if batch = append(batch, *r); len(batch) == rowBatch {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	return errors.Join(err, w.Close())
}

// readCells calls do for each packed row.
func readCells(in io.Reader, do func(r *Row) error) error {
	b := bufio.NewReaderSize(in, 1<<16)
	for {
		texts := make([]string, len(columns))
		for i := range texts {
			size, err := binary.ReadUvarint(b)
			if i == 0 && errors.Is(err, io.EOF) {
				return nil
			}
			text := make([]byte, size)
			if err == nil {
				_, err = io.ReadFull(b, text)
			}
			if err != nil {
				return err
			}
			texts[i] = string(text)
		}
		r, err := rowFrom(texts)
		if err == nil {
			err = do(&r)
		}
		if err != nil {
			return err
		}
	}
}
