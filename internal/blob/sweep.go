package blob

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Sweep removes the blobs that were last put before olderThan and that nobody
// holds, and returns how many and how many bytes they were, also with an error.
//
// A blob that was put and whose event is not yet written is held by nobody. Its
// age protects it: olderThan must lie further back than any writer needs from
// Put to the event. Whoever is about to hold content that he did not just put
// must put it again.
//
// held is asked without a lock, so it may take its time and may call the store.
// Its error ends the sweep, as does the context's.
func (s *Store) Sweep(ctx context.Context, olderThan time.Time, held func(ctx context.Context, sha256 string) (bool, error)) (removed int, bytes int64, err error) {
	w := sweep{store: s, olderThan: olderThan, held: held}
	if err := Each(ctx, s.dir, func(sha256, _ string) error { return w.blob(ctx, sha256) }); err != nil {
		return w.removed, w.bytes, fmt.Errorf("sweep blobs: %w", err)
	}
	return w.removed, w.bytes, nil
}

// Each calls do with the hash and the path of every blob in a store's folder, whoever
// has it open. One may be gone by then. The first error ends it, as does the context's.
func Each(ctx context.Context, dir string, do func(sha256, path string) error) error {
	folders, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if !folder.IsDir() || !hexDigits(folder.Name(), folderDigits) {
			continue
		}
		if err := eachWithin(ctx, filepath.Join(dir, folder.Name()), do); err != nil {
			return err
		}
	}
	return nil
}

func eachWithin(ctx context.Context, folder string, do func(sha256, path string) error) error {
	files, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !file.Type().IsRegular() || !hexDigits(file.Name(), hashDigits-folderDigits) {
			continue
		}
		if err := do(filepath.Base(folder)+file.Name(), filepath.Join(folder, file.Name())); err != nil {
			return err
		}
	}
	return nil
}

type sweep struct {
	store     *Store
	olderThan time.Time
	held      func(ctx context.Context, sha256 string) (bool, error)

	removed int
	bytes   int64
}

func (w *sweep) blob(ctx context.Context, sha256 string) error {
	info, err := os.Lstat(w.store.path(sha256))
	if err != nil {
		return ignoreMissing(err)
	}
	if !info.ModTime().Before(w.olderThan) {
		return nil
	}
	if held, err := w.held(ctx, sha256); err != nil || held {
		return err
	}
	size, err := w.store.removeOld(sha256, w.olderThan)
	if err != nil || size < 0 {
		return err
	}
	w.removed++
	w.bytes += size
	return nil
}

// removeOld removes a blob unless it was put again meanwhile, and returns its
// size, or -1 when it did not remove it.
func (s *Store) removeOld(sha256 string, olderThan time.Time) (size int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Lstat(s.path(sha256))
	if err != nil {
		return -1, ignoreMissing(err)
	}
	if !info.ModTime().Before(olderThan) {
		return -1, nil
	}
	if err := os.Remove(s.path(sha256)); err != nil {
		return -1, ignoreMissing(err)
	}
	return info.Size(), nil
}

// ignoreMissing drops the error of a file that another sweep removed first.
func ignoreMissing(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
