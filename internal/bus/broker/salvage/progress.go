package salvage

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Progress is what a running broker says of the commands' stream.
type Progress struct {
	Created time.Time
	Last    uint64
	At      time.Time        // when the last one was stored
	Fell    bool             // sequences were given that had been given before
	Readers map[string]Floor // by the consumer's name
}

// Floor is up to where a consumer has handled everything, in its own count and in the
// stream's.
type Floor struct{ Consumer, Stream uint64 }

// Keep notes how far a running broker is, and keeps copies of the stream's small files.
func Keep(dir string, p Progress) error {
	path, err := commandsFolder(dir)
	if err != nil || path == "" {
		return err
	}
	n := &Note{Created: p.Created, Last: p.Last, At: nanoseconds(p.At), Fell: p.Fell, Readers: map[string]reader{}}
	for name, floor := range p.Readers {
		n.Readers[name] = reader{FloorConsumer: floor.Consumer, FloorStream: floor.Stream}
		n.Last = max(n.Last, floor.Stream) // it was looked at later
	}
	if err := n.keepFiles(path, metaFile, metaSum); err != nil {
		return err
	}
	return n.write(dir)
}

func nanoseconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixNano()
}

// KeepStopped notes how far a broker was that has stopped in an orderly way.
func KeepStopped(dir string) error {
	path, err := commandsFolder(dir)
	if err != nil || path == "" {
		return err
	}
	content, err := os.ReadFile(filepath.Join(path, "msgs", "index.db"))
	i, ok := decodeIndex(Commands, content)
	created, known := createdAt(path)
	if err != nil || !ok || !known {
		return nil //nolint:nilerr // not so orderly: what was noted while it ran holds
	}
	n := &Note{Clean: true, Created: created, Last: i.last, At: i.lastTime, Fell: fellBefore(dir), Readers: map[string]reader{}}
	s := &stream{path: path, name: Commands}
	names, err := s.consumers()
	if err != nil {
		return err
	}
	for _, name := range names {
		if r, ok := s.reader(name); ok {
			n.Readers[name] = r
		}
	}
	if err := n.keepFiles(path, metaFile, metaSum, stateFile); err != nil {
		return err
	}
	return n.write(dir)
}

// keepFiles copies files of these names of the stream and of its consumers.
func (n *Note) keepFiles(path string, names ...string) error {
	n.Files = map[string][]byte{}
	for _, name := range names {
		found, err := filepath.Glob(filepath.Join(path, "obs", "*", name))
		if err != nil {
			return err
		}
		for _, file := range append(found, filepath.Join(path, name)) {
			content, err := os.ReadFile(file)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			within, err := filepath.Rel(path, file)
			if err != nil {
				return err
			}
			n.Files[filepath.ToSlash(within)] = content
		}
	}
	return nil
}

// commandsFolder is the folder of the commands' stream, in whichever account; empty: there
// is none.
func commandsFolder(dir string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", Commands))
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0], nil
}

// createdAt is when a stream was made, as its description says; false: it is damaged.
func createdAt(path string) (at time.Time, ok bool) {
	meta, err := os.ReadFile(filepath.Join(path, metaFile))
	sum, sumErr := os.ReadFile(filepath.Join(path, metaSum))
	if err != nil || sumErr != nil || !metaFits(filepath.Base(path), meta, sum) {
		return at, false
	}
	var info struct{ Created time.Time }
	err = json.Unmarshal(meta, &info)
	return info.Created, err == nil
}

// fellBefore reports what the note says that is there: a stop does not make it good.
func fellBefore(dir string) bool {
	note, _, err := readNote(dir)
	return err == nil && note != nil && note.Fell
}
