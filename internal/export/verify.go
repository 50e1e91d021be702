package export

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// What can be wrong with a file of an export.
const (
	Missing    = "missing"
	Changed    = "changed"
	Additional = "additional" // the manifest does not know it
)

// Problem is a file that is not as the manifest says.
type Problem struct {
	File    string `json:"file"`
	Problem string `json:"problem"`
	Detail  string `json:"detail,omitempty"`
}

// Verified is what was found in a folder.
type Verified struct {
	Files    int       `json:"files"` // of the manifest
	Events   int       `json:"events"`
	Bytes    int64     `json:"bytes"` // of files that are as they were made
	Problems []Problem `json:"problems"`
}

// ErrNoManifest says that a folder has no export, or half of one.
var ErrNoManifest = errors.New("there is no manifest.json: no export, or one that was cut short")

// Verify compares the files of an export with its manifest. Files are read whole.
func Verify(dir string) (*Verified, error) {
	m, err := loadManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoManifest)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, manifestName), err)
	}
	v := &Verified{Files: len(m.Partitions), Events: m.Events, Problems: []Problem{}}
	known := map[string]bool{manifestName: true}
	for _, p := range m.Partitions {
		known[p.File] = true
		if err := v.compare(dir, &p); err != nil {
			return nil, err
		}
	}
	return v, v.others(dir, known)
}

func (v *Verified) compare(dir string, p *Partition) error {
	name := filepath.FromSlash(p.File)
	if !filepath.IsLocal(name) {
		return fmt.Errorf("%s names the file %q, which is not in the folder", manifestName, p.File)
	}
	size, sum, err := sumOf(filepath.Join(dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.note(p.File, Missing, fmt.Sprintf("%d events", p.Events))
	case err != nil:
		return err
	case size != p.Bytes:
		v.note(p.File, Changed, fmt.Sprintf("%d bytes, not %d", size, p.Bytes))
	case sum != p.SHA256:
		v.note(p.File, Changed, "SHA-256 "+sum+", not "+p.SHA256)
	default:
		v.Bytes += size
	}
	return nil
}

func sumOf(path string) (size int64, sum string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer file.Close() //nolint:errcheck // it was read
	hash := sha256.New()
	size, err = io.Copy(hash, file)
	return size, hex.EncodeToString(hash.Sum(nil)), err
}

func (v *Verified) note(file, problem, detail string) {
	v.Problems = append(v.Problems, Problem{file, problem, detail})
}

// others notes what is there besides.
func (v *Verified) others(dir string, known map[string]bool) error {
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		below, err := filepath.Rel(dir, path)
		if name := filepath.ToSlash(below); !known[name] {
			found = append(found, name)
		}
		return err
	})
	slices.Sort(found)
	for _, name := range found {
		v.note(name, Additional, "")
	}
	return err
}
