package export

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/parley-engine/parley/store"
)

// maxRecord bounds a packed row: no event has more bytes than store.MaxEventBytes, and
// its names are few.
const maxRecord = 2 * store.MaxEventBytes

// lot is what a service has of a type: rows that go to the same tables.
type lot struct {
	Service string `json:"service"`
	Type    string `json:"type"` // current; empty: none of Parley's
}

// segment is where some rows of a lot are, in the order of the log.
type segment struct {
	lot
	Offset int64 `json:"offset"`
	Bytes  int64 `json:"bytes"`
	Events int   `json:"events"`
}

// spool keeps the rows of a day until the day is over, lot by lot, in one file.
type spool struct {
	file     *os.File
	size     int64
	segments map[lot][]segment // of what is written

	held    map[lot]*heldRows // what is not
	bytes   int
	scratch []byte
}

// heldRows are packed rows, each behind its length, in pieces that are never moved.
type heldRows struct {
	pieces [][]byte
	events int
}

// Bytes of a piece: of the first, and of a later one at most.
const (
	leastPiece = 1 << 10
	mostPiece  = 256 << 10
)

func (h *heldRows) add(row []byte) (bytes int) {
	last := len(h.pieces) - 1
	if last < 0 || cap(h.pieces[last])-len(h.pieces[last]) < len(row)+binary.MaxVarintLen64 {
		size := leastPiece
		if last >= 0 {
			size = min(2*cap(h.pieces[last]), mostPiece)
		}
		h.pieces = append(h.pieces, make([]byte, 0, max(size, len(row)+binary.MaxVarintLen64)))
		last++
	}
	before := len(h.pieces[last])
	h.pieces[last] = append(binary.AppendUvarint(h.pieces[last], uint64(len(row))), row...)
	h.events++
	return len(h.pieces[last]) - before
}

func openSpool(path string) (*spool, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	return &spool{file: file, segments: map[lot][]segment{}, held: map[lot]*heldRows{}}, err
}

// put takes a row.
func (s *spool) put(to lot, r *record) {
	s.scratch = r.pack(s.scratch[:0])
	if s.held[to] == nil {
		s.held[to] = &heldRows{}
	}
	s.bytes += s.held[to].add(s.scratch)
}

// flush writes what is held, durably, and returns where it is.
func (s *spool) flush() ([]segment, error) {
	var written []segment
	for _, to := range slices.SortedFunc(maps.Keys(s.held), lot.compare) {
		one := segment{lot: to, Offset: s.size, Events: s.held[to].events}
		for _, piece := range s.held[to].pieces {
			if _, err := s.file.WriteAt(piece, s.size); err != nil {
				return nil, err
			}
			s.size += int64(len(piece))
		}
		one.Bytes = s.size - one.Offset
		written = append(written, one)
		s.segments[to] = append(s.segments[to], one)
	}
	clear(s.held)
	s.bytes = 0
	return written, s.file.Sync()
}

func (l lot) compare(other lot) int {
	return cmp.Or(cmp.Compare(l.Service, other.Service), cmp.Compare(l.Type, other.Type))
}

// restore goes on behind what was written.
func (s *spool) restore(size int64, written []segment) error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < size {
		return errPacked
	}
	for _, one := range written {
		s.segments[one.lot] = append(s.segments[one.lot], one)
	}
	s.size = size
	return s.file.Truncate(size)
}

// empty forgets everything.
func (s *spool) empty() error {
	clear(s.segments)
	s.size = 0
	return s.file.Truncate(0)
}

// reader reads the rows of some segments, one after the other.
type reader struct {
	in   *bufio.Reader
	head record // valid unless next said that there is none
	buf  []byte
}

func (s *spool) reader(list []segment) *reader {
	parts := make([]io.Reader, len(list))
	for i, one := range list {
		parts[i] = io.NewSectionReader(s.file, one.Offset, one.Bytes)
	}
	return &reader{in: bufio.NewReaderSize(io.MultiReader(parts...), 1<<16)}
}

// next reads the next row, if there is one.
func (r *reader) next() (bool, error) {
	size, err := binary.ReadUvarint(r.in)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil || size > maxRecord {
		return false, errors.Join(errPacked, err)
	}
	r.buf = slices.Grow(r.buf[:0], int(size))[:size]
	if _, err := io.ReadFull(r.in, r.buf); err != nil {
		return false, errors.Join(errPacked, err)
	}
	r.head, err = unpack(r.buf)
	return err == nil, err
}
