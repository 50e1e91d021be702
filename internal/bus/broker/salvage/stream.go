package salvage

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// block is one file of messages.
type block struct {
	path    string
	index   int
	size    int
	whole   []record
	bad     []damage
	changed bool // a record was mended or left out
}

// stream is a stream's folder under examination.
type stream struct {
	*work
	path, name string
	blocks     []*block
	index      *index // nil: none that can be believed
	indexBad   bool
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
	s.leaveOut()
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
func (s *stream) read() error {
	entries, err := os.ReadDir(filepath.Join(s.path, "msgs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		number, is := strings.CutSuffix(e.Name(), ".blk")
		n, err := strconv.Atoi(number)
		if !is || err != nil {
			continue
		}
		s.blocks = append(s.blocks, &block{path: filepath.Join(s.path, "msgs", e.Name()), index: n})
	}
	slices.SortFunc(s.blocks, func(a, b *block) int { return cmp.Compare(a.index, b.index) })
	for i, b := range s.blocks {
		if err := s.readBlock(b, i == len(s.blocks)-1); err != nil {
			return err
		}
	}
	return s.readIndex()
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
	b.size = len(content)
	b.whole, b.bad = walk(content, sum)
	for i := range b.whole {
		if s.name == Commands {
			b.whole[i].mendSubject()
		}
		b.changed = b.changed || b.whole[i].mended
	}
	if n := len(b.bad); n > 0 && last && !s.clean() && isTorn(content[b.bad[n-1].from:]) {
		b.bad = b.bad[:n-1] // the broker cuts it off
	}
	return nil
}

func (w *work) clean() bool { return w.note != nil && w.note.Clean }

// isTorn recognises the beginning of a record, or room that was never written to.
func isTorn(b []byte) bool {
	if len(b) < smallest {
		return true
	}
	for _, c := range b {
		if c != 0 {
			return beginsRecord(b)
		}
	}
	return true
}

func beginsRecord(b []byte) bool {
	size := int(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3]&0x7f)<<24)
	return size > len(b) && size <= largest
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

// leaveOut notes what is damaged. Of the events everything behind it goes, too, and is
// published again: in their order.
func (s *stream) leaveOut() {
	damaged := false
	for _, b := range s.blocks {
		if damaged && s.name == Events {
			b.whole, b.changed = nil, true
			continue
		}
		if len(b.bad) == 0 {
			continue
		}
		damaged, b.changed = true, true
		s.found("%s: %d places in %s are damaged, the first at byte %d", s.name, len(b.bad), filepath.Base(b.path), b.bad[0].from)
		if s.name == Events {
			b.whole = before(b.whole, b.bad[0])
		}
	}
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
		for _, r := range b.whole {
			last = max(last, r.sequence)
		}
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
		for _, d := range b.bad {
			beyond += uint64((d.to-d.from)/smallest) + 1
		}
	}
	if !s.clean() {
		const unnoted = 10_000 // between two notes
		beyond += unnoted
	}
	return beyond
}
