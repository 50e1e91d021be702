package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// maxManifest bounds a manifest: some 150 bytes for each file.
const maxManifest = 1 << 30

// Unpack writes an archive's files into a folder, synced, and returns its manifest, to
// which they were compared. An error with ErrDamaged names what does not fit; what was
// written until then is left in the folder. It ends with ctx. No file that is there is written to.
func Unpack(ctx context.Context, r io.Reader, dir string) (*Manifest, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	u := unpacker{archive: tar.NewReader(z), dir: dir}
	for {
		m, err := u.next(ctx)
		if err != nil || m != nil {
			return m, err
		}
	}
}

type unpacker struct {
	archive *tar.Reader
	dir     string
	files   []File
	folders []string // made, the inner ones behind the outer ones
}

// next unpacks one file. The manifest is the last one.
func (u *unpacker) next(ctx context.Context) (*Manifest, error) {
	h, err := u.archive.Next()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: it has no %s: it was cut short", ErrDamaged, ManifestName)
	}
	if err != nil {
		return nil, damaged("", err)
	}
	switch {
	case h.Typeflag != tar.TypeReg || !filepath.IsLocal(filepath.FromSlash(h.Name)):
		return nil, fmt.Errorf("%w: %.200q is no file within it", ErrDamaged, h.Name)
	case h.Name == ManifestName:
		return u.finish(h.Size)
	}
	return nil, u.file(ctx, h)
}

func (u *unpacker) file(ctx context.Context, h *tar.Header) (err error) {
	path := filepath.Join(u.dir, filepath.FromSlash(h.Name))
	if err := u.folder(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w: %.200q is there twice", ErrDamaged, h.Name)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha256.New()
	if err := copyOut(ctx, io.MultiWriter(f, sum), u.archive, h.Name); err != nil {
		return err
	}
	u.files = append(u.files, File{h.Name, h.Size, hex.EncodeToString(sum.Sum(nil))})
	return f.Sync()
}

// copyOut tells what cannot be read from what cannot be written.
func copyOut(ctx context.Context, w io.Writer, r io.Reader, name string) error {
	source := &source{ctx: ctx, Reader: r}
	_, err := io.Copy(w, source)
	if source.err != nil && !errors.Is(source.err, io.EOF) {
		return damaged(name, source.err)
	}
	return err
}

// source is read until ctx ends.
type source struct {
	ctx context.Context
	io.Reader
	err error // of the reader itself
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.Reader.Read(p)
	s.err = err
	return n, err
}

func (u *unpacker) folder(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := u.folder(filepath.Dir(dir)); err != nil {
		return err
	}
	u.folders = append(u.folders, dir)
	return os.Mkdir(dir, 0o700)
}

func (u *unpacker) finish(size int64) (*Manifest, error) {
	if size > maxManifest {
		return nil, fmt.Errorf("%w: its manifest has %d bytes", ErrDamaged, size)
	}
	text, err := io.ReadAll(u.archive)
	if err != nil {
		return nil, damaged(ManifestName, err)
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, damaged(ManifestName, err)
	}
	if m.Format != Format {
		return nil, fmt.Errorf("backup has format %d, which this version does not know", m.Format)
	}
	if _, err := u.archive.Next(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: there is something behind its manifest", ErrDamaged)
	}
	if err := u.compare(&m); err != nil {
		return nil, err
	}
	return &m, u.sync()
}

func (u *unpacker) compare(m *Manifest) error {
	if len(m.Files) != len(u.files) {
		return fmt.Errorf("%w: it has %d files of %d", ErrDamaged, len(u.files), len(m.Files))
	}
	for i, f := range u.files {
		if f != m.Files[i] {
			return fmt.Errorf("%w: %.200q is not what its manifest says", ErrDamaged, f.Name)
		}
	}
	return nil
}

// sync makes the names survive a power cut.
func (u *unpacker) sync() error {
	for _, dir := range append([]string{u.dir}, u.folders...) {
		f, err := os.Open(dir)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func damaged(name string, err error) error {
	if name == "" {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return fmt.Errorf("%w: %.200q: %w", ErrDamaged, name, err)
}
