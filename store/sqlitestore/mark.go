package sqlitestore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// The lock file has a mark: where the last group that was answered ends, 8 bytes of
// position, 16 of the event's id, and the CRC-32 of both. It is written behind each commit
// and before anybody is told of it, and never synced: whatever happens to the process, the
// system has it; after a power cut it may be an earlier one, which knows less and is true.
const (
	markBody = 8 + 16
	markSize = markBody + crc32.Size
)

// mark keeps how far the log goes. Without it a later loss is found by what others have
// seen alone, so a failure is worth a warning and no more.
func (w *writer) mark(g *group) {
	last := g.accepted[len(g.accepted)-1].batch
	var b [markSize]byte
	binary.BigEndian.PutUint64(b[:], g.next-1)
	copy(b[8:], last[len(last)-1].ID[:])
	binary.BigEndian.PutUint32(b[markBody:], crc32.ChecksumIEEE(b[:markBody]))
	if _, err := w.store.lock.WriteAt(b[:], 0); err != nil && !w.unmarked {
		w.unmarked = true
		w.checkpoints.logger.Warn("how far the log goes could not be kept beside it; a lost end may not be found", "err", err)
	}
}

// LastSeen is the last event that the writer of the log at path has acknowledged, as far as
// is known: its position is zero where nothing was kept, or what was kept is damaged.
// Nothing is locked; a process that writes meanwhile may have gone on.
func LastSeen(path string) (store.Sighting, error) {
	seen := store.Sighting{By: filepath.Base(path) + ".lock"}
	f, err := os.Open(path + ".lock")
	if errors.Is(err, fs.ErrNotExist) {
		return seen, nil
	}
	if err != nil {
		return seen, err
	}
	var b [markSize]byte
	_, err = io.ReadFull(f, b[:])
	err = errors.Join(err, f.Close())
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return seen, nil
	}
	if err != nil || binary.BigEndian.Uint32(b[markBody:]) != crc32.ChecksumIEEE(b[:markBody]) {
		return seen, err
	}
	seen.Position = events.At(binary.BigEndian.Uint64(b[:]))
	copy(seen.Event[:], b[8:])
	return seen, nil
}
