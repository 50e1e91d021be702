package salvage

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// lost are commands that were given a sequence, are not handled, and are not there.
func (s *stream) lost() (lost []Span) {
	if s.name != Commands {
		return nil
	}
	from := s.handled()
	var places []place
	for _, b := range s.blocks {
		for _, p := range b.places {
			if p.sequence > from {
				places = append(places, p)
			}
		}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.sequence, b.sequence) })
	previous := place{sequence: from}
	for _, p := range places {
		// What is between two deletions was never given, or was told before.
		if p.sequence > previous.sequence+1 && (!p.deleted || !previous.deleted) {
			lost = append(lost, Span{previous.sequence + 1, p.sequence - 1})
		}
		previous = p
	}
	if last := s.last(); last > previous.sequence {
		lost = append(lost, Span{previous.sequence + 1, last})
	}
	return lost
}

// handled is up to where commands are handled or were purged. Without anything that can be
// believed it is in front of the first one that is there.
func (s *stream) handled() uint64 {
	var floor uint64
	known := false
	if s.note != nil {
		var r reader
		if r, known = s.note.Readers[Reader]; known {
			floor = r.FloorStream
		}
	} else if r, ok := s.reader(Reader); ok && !s.unsure {
		floor, known = r.FloorStream, true
	}
	if s.index != nil && s.index.first > 0 {
		return max(floor, s.index.first-1)
	}
	if known {
		return floor
	}
	first := uint64(0)
	for _, b := range s.blocks {
		for _, p := range b.places {
			if !p.deleted && (first == 0 || p.sequence < first) {
				first = p.sequence
			}
		}
	}
	return max(first, 1) - 1
}

// rewrite writes the blocks that change, and one that says how far sequences were given.
func (s *stream) rewrite(lost []Span) error {
	changed := len(lost) > 0
	kept := uint64(0) // the highest sequence that the broker will see
	for _, b := range s.blocks {
		changed = changed || b.changed
		kept = max(kept, b.last)
	}
	endLost := s.name == Commands && s.index == nil && kept < s.last()
	if !changed && !endLost {
		return nil
	}
	for _, b := range s.blocks {
		if b.changed {
			if err := s.rewriteBlock(b); err != nil {
				return err
			}
		}
	}
	if err := s.addBounds(lost); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(s.path, "msgs", "index.db")); err != nil {
		return err
	}
	if s.name != Events {
		return syncDir(filepath.Join(s.path, "msgs"))
	}
	s.found("%s: what is behind the damage is published again from the log", s.name)
	return replace(filepath.Join(s.dir, againFile), nil)
}

func (s *stream) rewriteBlock(b *block) error {
	if s.name != Events { // those are in the log
		if err := s.keep(b.path); err != nil {
			return err
		}
	}
	return replace(b.path, bytes.Join(b.content, nil))
}

// addBounds adds a block from which the broker, and the next run, learn that sequences up
// to here were given, and which are missing for a reason that was told.
func (s *stream) addBounds(lost []Span) error {
	number := 1
	if n := len(s.blocks); n > 0 {
		number = s.blocks[n-1].index + 1
	}
	sum, err := blockHash(s.name, number)
	if err != nil {
		return err
	}
	now := time.Now().UnixNano()
	var content []byte
	bound := func(span Span) {
		content = append(content, newTombstone(span.From, now, sum)...)
		content = append(content, newTombstone(span.To, now, sum)...)
	}
	for _, span := range lost {
		bound(span)
	}
	bound(Span{s.last() + 1, s.beyond()})
	path := filepath.Join(s.path, "msgs", fmt.Sprintf("%d.blk", number))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return replace(path, content)
}
