package salvage

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// noteFile is beside the broker's own folder.
const noteFile = "progress"

// Note is what is known of the commands' stream besides the stream itself.
type Note struct {
	Created time.Time         `json:"created"` // of the stream: another one of the name is not meant
	Clean   bool              `json:"clean"`   // the broker has stopped, and its files are those of Files
	Last    uint64            `json:"last"`    // sequence that was given; later ones may have been
	At      int64             `json:"at"`      // when it was stored, Unix nanoseconds; 0: not known
	Fell    bool              `json:"fell"`    // the stream lost its end while it was open
	Readers map[string]reader `json:"readers"` // by the consumer's name; they may have read further
	Files   map[string][]byte `json:"files"`   // small ones, by their path in the stream's folder
}

// readNote returns nil when there is none, or with damaged when it does not fit its
// checksum.
func readNote(dir string) (_ *Note, damaged bool, err error) {
	b, err := os.ReadFile(filepath.Join(dir, noteFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read progress of the bus: %w", err)
	}
	content, sum, found := bytes.Cut(b, []byte("\n"))
	var n Note
	if !found || digest(content) != string(bytes.TrimSpace(sum)) || json.Unmarshal(content, &n) != nil {
		return nil, true, nil //nolint:nilerr // it is damaged, which is no failure of reading it
	}
	return &n, false, nil
}

// write replaces the note: all of it or none, and durable when it returns.
func (n *Note) write(dir string) error {
	content, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return replace(filepath.Join(dir, noteFile), append(append(content, '\n'), digest(content)+"\n"...))
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// replace writes a file anew, and syncs it and its folder.
func replace(path string, content []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
