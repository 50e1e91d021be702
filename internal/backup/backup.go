// Package backup writes and reads archives of a data folder: a tar in Zstandard, with a
// manifest as its last file, that names all others with their sizes and SHA-256. An
// archive that was cut short has no manifest, and one that was changed does not fit it.
//
// What an archive holds is up to whoever writes it. Names in it are slash-separated and
// lead nowhere outside.
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
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/parley-engine/parley/events"
)

// Format is the number of the archives that are written.
const Format = 1

// ManifestName is the last file of an archive.
const ManifestName = "manifest.json"

// ErrDamaged says that an archive is not what was written.
var ErrDamaged = errors.New("backup is damaged")

// Manifest says what an archive has.
type Manifest struct {
	Format   int             `json:"format"`
	Version  string          `json:"version"` // of the program that wrote it
	Created  time.Time       `json:"created"`
	Account  string          `json:"account"`
	Position events.Position `json:"position"` // of the last event
	Events   int             `json:"events"`
	Digest   string          `json:"digest"` // of the log
	Files    []File          `json:"files"`
}

// File is a file of an archive.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Bytes is the size of all files.
func (m *Manifest) Bytes() (sum int64) {
	for _, f := range m.Files {
		sum += f.Size
	}
	return sum
}

// Writer writes an archive. It is not safe for concurrent use.
type Writer struct {
	compressed *zstd.Encoder
	tar        *tar.Writer
	files      []File
}

// NewWriter begins an archive.
func NewWriter(w io.Writer) (*Writer, error) {
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return &Writer{compressed: z, tar: tar.NewWriter(z)}, nil
}

// Add puts size bytes of r into the archive. That there are fewer is an error; what is
// behind them is left out. It ends with ctx.
func (w *Writer) Add(ctx context.Context, name string, r io.Reader, size int64) error {
	if err := w.header(name, size); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(w.tar, sum), &source{ctx: ctx, Reader: r}, size); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	w.files = append(w.files, File{name, size, hex.EncodeToString(sum.Sum(nil))})
	return nil
}

func (w *Writer) header(name string, size int64) error {
	return w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, Format: tar.FormatPAX})
}

// Close ends the archive with its manifest, to which it adds format and files. Without it
// there is no archive.
func (w *Writer) Close(m *Manifest) error {
	m.Format, m.Files = Format, w.files
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := w.header(ManifestName, int64(len(text))); err != nil {
		return err
	}
	_, err = w.tar.Write(text)
	return errors.Join(err, w.tar.Close(), w.compressed.Close())
}
