// Package blob keeps uploaded media as files named by their content: the same
// bytes are one file, however often they arrive.
//
// The SHA-256 of a file is the name of its folder and its own name together:
// aa/bb…, with two and sixty-two hex digits. What is being written lies in
// incoming, on the same file system, and is moved once it is complete and
// durable: a file under its hash is whole.
package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// ErrTooLarge says that the content was longer than the limit; nothing was kept.
var ErrTooLarge = errors.New("blob: content is over the limit")

// Blob names content that is kept.
type Blob struct {
	SHA256 string // of the content, 64 lower-case hex digits
	Size   int64  // in bytes
}

// Store is a folder of blobs. It is safe for concurrent use within the one
// process that may have the folder open; only Open makes a usable one.
type Store struct {
	dir string
	mu  sync.Mutex // whoever looks at a blob's time and acts on it holds it
}

const (
	incoming     = "incoming"
	folderDigits = 2
	hashDigits   = 64
)

// Open makes the folder, for its owner's eyes only, if it is missing. What a
// crash left half-written goes, so nobody else may be writing there.
func Open(dir string) (*Store, error) {
	if err := os.RemoveAll(filepath.Join(dir, incoming)); err != nil {
		return nil, fmt.Errorf("clear what was half-written: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, incoming), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of blobs: %w", err)
	}
	if err := errors.Join(syncDir(dir), syncDir(filepath.Dir(dir))); err != nil {
		return nil, fmt.Errorf("sync the folder of blobs: %w", err)
	}
	return &Store{dir: dir}, nil
}

// Get opens a blob for reading; the caller closes it. The error is
// fs.ErrNotExist when there is none and fs.ErrInvalid when the name is not a
// hash as Put returns it, so a client's text never becomes a path. A blob that
// is swept while it is open can be read to its end.
func (s *Store) Get(sha256 string) (*os.File, error) {
	if !hexDigits(sha256, hashDigits) {
		return nil, fmt.Errorf("blob: malformed hash: %w", fs.ErrInvalid)
	}
	return os.Open(s.path(sha256))
}

// path is where the content with this well-formed hash lies.
func (s *Store) path(sha256 string) string {
	return filepath.Join(s.dir, sha256[:folderDigits], sha256[folderDigits:])
}

// hexDigits reports whether text is n lower-case hex digits.
func hexDigits(text string, n int) bool {
	for _, c := range []byte(text) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(text) == n
}

// syncDir makes the names in a folder survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
