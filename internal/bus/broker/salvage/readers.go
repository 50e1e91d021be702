package salvage

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const stateFile = "o.dat"

func (s *stream) consumers() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(s.path, "obs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func (s *stream) statePath(consumer string) string {
	return filepath.Join(s.path, "obs", consumer, stateFile)
}

// reader reads a consumer's state; false: there is none that can be one.
func (s *stream) reader(consumer string) (reader, bool) {
	content, err := os.ReadFile(s.statePath(consumer))
	if err != nil {
		return reader{}, false
	}
	return decodeReader(content)
}

// readers mends the states of the consumers, which have no checksum: those of the commands
// are what the note says, others only have to make sense.
func (s *stream) readers() error {
	names, err := s.consumers()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.readerOf(name); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) readerOf(name string) error {
	path := s.statePath(name)
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	missing := err != nil
	if s.name == Commands && s.note != nil && !s.unsure {
		if noted, known := s.note.Readers[name]; known {
			return s.asNoted(name, noted, content)
		}
	}
	r, ok := decodeReader(content)
	if s.name == Commands && s.unsure && !missing {
		s.found("%s: nothing tells whether the state of its consumer %s is right; it begins anew", s.name, name)
		return s.drop(path)
	}
	if missing || ok && (s.name != Commands || r.DeliveredStream <= s.last()) {
		return nil //nolint:nilerr // one that is missing is none
	}
	s.found("%s: the state of its consumer %s (o.dat) is damaged; it begins anew", s.name, name)
	return s.drop(path)
}

// asNoted sets a consumer's state to what was noted. After a clean stop both are the same;
// after another one the note is somewhat behind, and what was done since then comes again,
// under the id that it had.
func (s *stream) asNoted(name string, noted reader, content []byte) error {
	path := s.statePath(name)
	if s.clean() {
		kept, has := s.note.Files[relative(name, stateFile)]
		if !has || bytes.Equal(kept, content) {
			return nil
		}
		s.found("%s: the state of its consumer %s (o.dat) is damaged; it is what was noted at the last stop", s.name, name)
		if err := s.keep(path); err != nil {
			return err
		}
		return replace(path, kept)
	}
	if r, ok := decodeReader(content); !ok && len(content) > 0 || r.FloorStream > s.last() {
		s.found("%s: the state of its consumer %s (o.dat) is damaged; it is what was noted last", s.name, name)
		if err := s.keep(path); err != nil {
			return err
		}
	}
	noted.DeliveredConsumer, noted.DeliveredStream = noted.FloorConsumer, noted.FloorStream
	return replace(path, noted.encode())
}

// relative is a consumer's file's path in the stream's folder, as the note names it.
func relative(consumer, file string) string { return "obs/" + consumer + "/" + file }

const (
	metaFile = "meta.inf"
	metaSum  = "meta.sum"
)

// metas mends the descriptions of the stream and its consumers. Those that cannot be
// mended go: who made the stream makes it again, with the messages that it has.
func (s *stream) metas() error {
	if err := s.restore(); err != nil {
		return err
	}
	if !strings.HasPrefix(s.name, "PARLEY_") && !strings.HasPrefix(s.name, "KV_PARLEY_") {
		return nil // somebody else's
	}
	if err := s.meta(s.path, s.name, s.name); err != nil {
		return err
	}
	names, err := s.consumers()
	for _, name := range names {
		err = errors.Join(err, s.meta(filepath.Join(s.path, "obs", name), s.name+"/"+name, s.name+": consumer "+name))
	}
	return err
}

func (s *stream) meta(dir, key, called string) error {
	meta, err := os.ReadFile(filepath.Join(dir, metaFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	sum, sumErr := os.ReadFile(filepath.Join(dir, metaSum))
	if err != nil || metaFits(key, meta, sum) && sumErr == nil {
		return err
	}
	s.found("%s: its description (meta.inf) is damaged; it is made anew", called)
	return errors.Join(s.drop(filepath.Join(dir, metaFile)), s.drop(filepath.Join(dir, metaSum)))
}

// restore puts descriptions of the commands' stream back that are damaged or gone.
func (s *stream) restore() error {
	if s.name != Commands || s.note == nil {
		return nil
	}
	for _, within := range slices.Sorted(maps.Keys(s.note.Files)) {
		dir, is := strings.CutSuffix(within, metaFile)
		if !is {
			continue
		}
		key := s.name
		if dir != "" {
			key += "/" + filepath.Base(dir)
		}
		if err := s.restoreMeta(dir, key); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) restoreMeta(dir, key string) error {
	here := filepath.Join(s.path, filepath.FromSlash(dir))
	meta, err := os.ReadFile(filepath.Join(here, metaFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	sum, err := os.ReadFile(filepath.Join(here, metaSum))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if metaFits(key, meta, sum) || !metaFits(key, s.note.Files[dir+metaFile], s.note.Files[dir+metaSum]) {
		return nil
	}
	s.found("%s: its description (meta.inf) is damaged; it is what was noted", key)
	if err := errors.Join(s.keep(filepath.Join(here, metaFile)), s.keep(filepath.Join(here, metaSum)), os.MkdirAll(here, 0o700)); err != nil {
		return err
	}
	return errors.Join(
		replace(filepath.Join(here, metaFile), s.note.Files[dir+metaFile]),
		replace(filepath.Join(here, metaSum), s.note.Files[dir+metaSum]))
}
