package salvage

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// block is one file of messages, of which only that is kept which is needed.
type block struct {
	path    string
	index   int
	bad     int      // bytes that are in no whole record
	damages int      // places that they are in
	last    uint64   // the highest sequence
	places  []place  // of the commands
	changed bool     // a record was mended or left out
	content [][]byte // what is to be in the file, if it changed
}

// place is a sequence that a record has.
type place struct {
	sequence uint64
	deleted  bool
}

// stream is a stream's folder under examination.
type stream struct {
	*work
	path, name string
	blocks     []*block
	index      *index // nil: none that can be believed
	damaged    bool   // a block was, so far
	fell       bool   // sequences were given that had been given before
}

func (w *work) stream(path string) error {
	s := &stream{work: w, path: path, name: filepath.Base(path)}
	if _, err := os.Stat(filepath.Join(path, "__msgs__")); err == nil || strings.HasPrefix(s.name, ".") {
		return nil // a purge or a deletion that was cut short, which the broker finishes
	}
	if err := s.metas(); err != nil {
		return err
	}
	if err := s.read(); err != nil {
		return err
	}
	s.fallen()
	if err := s.readers(); err != nil {
		return err
	}
	lost := s.lost()
	if len(lost) > 0 {
		w.report.Lost = append(w.report.Lost, lost...)
		w.found("%s: %d acknowledged commands that were not done are lost, sequences %s", s.name, Count(lost), spansText(lost))
	}
	return s.rewrite(lost)
}

// fallen has the commands read from the beginning when some have sequences that a consumer
// had passed: the broker cut the stream off while it was open, and went on from there.
func (s *stream) fallen() {
	if s.name != Commands || s.note == nil || !s.fell && !s.note.Fell {
		return
	}
	s.found("%s: it lost its end while it was open, and sequences were given again", s.name)
	s.unsure = true
}

func spansText(spans []Span) string {
	const shown = 20
	texts := make([]string, 0, shown)
	for _, s := range spans[:min(shown, len(spans))] {
		texts = append(texts, s.String())
	}
	if len(spans) > shown {
		texts = append(texts, fmt.Sprintf("and %d more spans", len(spans)-shown))
	}
	return strings.Join(texts, ", ")
}

// read reads all blocks, and the index.
func (s *stream) read() (err error) {
	if s.blocks, err = blocksOf(s.path); err != nil {
		return err
	}
	for i, b := range s.blocks {
		if err := s.readBlock(b, i == len(s.blocks)-1); err != nil {
			return err
		}
	}
	return s.readIndex()
}

// blocksOf lists a stream's blocks in their order.
func blocksOf(path string) (blocks []*block, err error) {
	entries, err := os.ReadDir(filepath.Join(path, "msgs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		number, is := strings.CutSuffix(e.Name(), ".blk")
		n, err := strconv.Atoi(number)
		if !is || err != nil {
			continue
		}
		blocks = append(blocks, &block{path: filepath.Join(path, "msgs", e.Name()), index: n})
	}
	slices.SortFunc(blocks, func(a, b *block) int { return cmp.Compare(a.index, b.index) })
	return blocks, nil
}

func (s *stream) readBlock(b *block, last bool) error {
	content, err := os.ReadFile(b.path)
	if err != nil {
		return err
	}
	sum, err := blockHash(s.name, b.index)
	if err != nil {
		return err
	}
	whole, bad := walk(content, sum)
	if n := len(bad); n > 0 && last && !s.clean() && isTorn(content[bad[n-1].from:], nextOf(whole)) {
		bad = bad[:n-1] // the broker cuts it off
	}
	if len(bad) > 0 {
		also := ""
		if s.name == Dead {
			also = "; dead letters that were there are lost"
		}
		s.found("%s: %d places in %s are damaged, the first at byte %d%s", s.name, len(bad), filepath.Base(b.path), bad[0].from, also)
	}
	s.remember(b, whole, bad)
	s.choose(b, whole, bad)
	return nil
}

// remember keeps what is needed of the records.
func (s *stream) remember(b *block, whole []record, bad []damage) {
	for _, d := range bad {
		b.bad += d.to - d.from
		b.damages++
	}
	for i := range whole {
		r := &whole[i]
		b.last = max(b.last, r.sequence)
		if s.name != Commands {
			continue
		}
		r.mendSubject()
		b.places = append(b.places, place{r.sequence, r.kind != message})
		if n := s.note; n != nil && n.At > 0 && r.kind == message && r.sequence <= n.Last && r.at > n.At {
			s.fell = true
		}
	}
}

// choose decides what stays of a block that is damaged: all that is whole; of the events
// what is in front of the damage, because the rest is published again, in its order.
func (s *stream) choose(b *block, whole []record, bad []damage) {
	b.changed = len(bad) > 0 || slices.ContainsFunc(whole, func(r record) bool { return r.mended })
	if s.name == Events {
		if s.damaged {
			b.changed, whole = true, nil
		} else if len(bad) > 0 {
			whole = before(whole, bad[0])
		}
	}
	s.damaged = s.damaged || len(bad) > 0
	if !b.changed {
		return
	}
	if len(bad) == 0 && len(whole) > 0 {
		s.found("%s: lengths in %s are damaged; they are set right", s.name, filepath.Base(b.path))
	}
	for _, r := range whole {
		b.content = append(b.content, bytes.Clone(r.raw))
	}
}

func (w *work) clean() bool { return w.note != nil && w.note.Clean }

// nextOf is the sequence that comes behind the records.
func nextOf(whole []record) (next uint64) {
	for _, r := range whole {
		next = max(next, r.sequence)
	}
	return next + 1
}

// isTorn recognises the beginning of the next record, or room that was never written to:
// what a power cut leaves of a write that was not acknowledged.
func isTorn(b []byte, next uint64) bool {
	if len(b) < headSize || len(bytes.Trim(b, "\x00")) == 0 {
		return true
	}
	size := int(binary.LittleEndian.Uint32(b) &^ hasHeader)
	sequence := binary.LittleEndian.Uint64(b[4:])
	return size > len(b) && size <= largest && (sequence == next || sequence&tombstone != 0)
}

func (s *stream) readIndex() error {
	path := filepath.Join(s.path, "msgs", "index.db")
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if i, ok := decodeIndex(s.name, content); ok {
		s.index = &i
		return nil
	}
	s.found("%s: index.db is damaged; it is made anew", s.name)
	return s.drop(path)
}

// before returns the records in front of a damage.
func before(whole []record, d damage) []record {
	at := 0
	for i := range whole {
		if at == d.from {
			return whole[:i]
		}
		at += len(whole[i].raw)
	}
	return whole
}

// last is the highest sequence that is known to have been given.
func (s *stream) last() (last uint64) {
	for _, b := range s.blocks {
		last = max(last, b.last)
	}
	if s.index != nil {
		last = max(last, s.index.last)
	}
	if s.name == Commands && s.note != nil {
		last = max(last, s.note.Last)
	}
	return last
}

// beyond is a sequence that was surely not given.
func (s *stream) beyond() uint64 {
	beyond := s.last() + 1
	for _, b := range s.blocks {
		beyond += uint64(b.bad/smallest + b.damages)
	}
	if !s.clean() {
		const unnoted = 10_000 // between two notes
		beyond += unnoted
	}
	return beyond
}
