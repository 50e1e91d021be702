package projections

import (
	"errors"
	"path/filepath"

	"github.com/parley-engine/parley/store"
)

// Sightings are how far the generations in a folder have seen the log: the live one and
// the one that is kept for a rollback, of whatever version. One that cannot be used has
// seen nothing; a folder without read models has none.
func Sightings(dir string) ([]store.Sighting, error) {
	m, found, err := readManifest(dir)
	if damage := new(DamagedError); errors.As(err, &damage) || !found {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var seen []store.Sighting
	for _, file := range []string{m.File, m.Former} {
		path := filepath.Join(dir, file)
		if file == "" || !exists(path) {
			continue
		}
		if at, err := markIn(path); err == nil {
			seen = append(seen, at.sighting(filepath.Join(filepath.Base(dir), file)))
		}
	}
	return seen, nil
}

func markIn(path string) (m mark, err error) {
	conn, err := openReader(path)
	if err != nil {
		return m, err
	}
	m, err = readMark(conn)
	return m, errors.Join(err, conn.Close())
}
