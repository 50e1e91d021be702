package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Put keeps what r yields, at most limit bytes of it, and returns when that
// would survive a power cut. Content that is there already only becomes young
// again, see Sweep.
//
// The error is ErrTooLarge, the context's, the reader's or the disk's. Each
// leaves nothing behind, but for one: content whose folder could not be synced
// stays, complete, until it is swept, because somebody else may have put it too.
// The context is looked at between reads; a reader that blocks must be ended by
// whoever owns it.
func (s *Store) Put(ctx context.Context, r io.Reader, limit int64) (Blob, error) {
	b, temporary, err := s.receive(&bounded{ctx: ctx, from: r, left: limit})
	if err != nil {
		return Blob{}, fmt.Errorf("receive blob: %w", err)
	}
	path := s.path(b.SHA256)
	if err := s.place(temporary, path, b.Size); err != nil {
		return Blob{}, fmt.Errorf("place blob: %w", errors.Join(err, discard(temporary)))
	}
	// Content that was there may be so new that its name is not yet durable.
	if err := errors.Join(discard(temporary), syncDir(filepath.Dir(path)), syncDir(s.dir)); err != nil {
		return Blob{}, fmt.Errorf("sync blob: %w", err)
	}
	return b, nil
}

// receive writes all of r to a new, durable file of its own.
func (s *Store) receive(r io.Reader) (b Blob, temporary string, err error) {
	file, err := os.CreateTemp(filepath.Join(s.dir, incoming), "") // with mode 0600
	if err != nil {
		return Blob{}, "", err
	}
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(file, hash), r)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return Blob{}, "", errors.Join(err, discard(file.Name()))
	}
	return Blob{SHA256: hex.EncodeToString(hash.Sum(nil)), Size: size}, file.Name(), nil
}

// place gives the temporary file its name, or leaves it alone when the content
// has a file already. Either way the content is young when it returns, however
// long ago its last byte came in.
func (s *Store) place(temporary, path string, size int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if there, err := os.Lstat(path); err == nil && there.Size() == size {
		return os.Chtimes(path, now, now)
	}
	if err := os.Chtimes(temporary, now, now); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// discard removes a temporary file if it is still there.
func discard(temporary string) error {
	if err := os.Remove(temporary); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// bounded is a reader that fails when its context has ended or more than left
// bytes came.
type bounded struct {
	ctx  context.Context
	from io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}
