// Package metric computes figures over all history from definitions that have versions.
//
// A definition is a query in SQL over the views of "parley sql", in a file NAME.vN.sql
// that begins with a comment of one line. It is a projection like the others: a fold of
// the log up to a position, without a clock, so the same version over the same history
// gives the same figures. A definition that has changed is another version, and the
// figures of both can be had side by side.
package metric

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Definition says how figures are made: a query with the columns subject (a SID),
// service, label (text, may be empty) and value (a number). Rows without a value are none.
type Definition struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	About   string `json:"about"`
	Query   string `json:"-"`
	SHA256  string `json:"sha256"` // of the file
}

// ID is the name with the version, as in first_response.v2.
func (d Definition) ID() string { return fmt.Sprintf("%s.v%d", d.Name, d.Version) }

//go:embed definitions/*.sql
var files embed.FS

// BuiltIn are the definitions that come with Parley.
func BuiltIn() ([]Definition, error) {
	inside, err := fs.Sub(files, "definitions")
	if err != nil {
		return nil, err
	}
	return Read(inside)
}

var fileName = regexp.MustCompile(`^([a-z][a-z0-9_]{0,63})\.v([1-9][0-9]{0,5})\.sql$`)

// ErrDefinition says that a file is no definition.
var ErrDefinition = errors.New("not a definition of a metric")

// maxDefinition bounds a file, in bytes.
const maxDefinition = 1 << 20

// Read reads the definitions of a folder, by name and version. Other files than those
// that end with .sql are left alone.
func Read(folder fs.FS) (list []Definition, err error) {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if path.Ext(e.Name()) != ".sql" {
			continue
		}
		d, err := read(folder, e.Name())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b Definition) int { return cmp.Or(strings.Compare(a.Name, b.Name), a.Version-b.Version) })
	return list, nil
}

func read(folder fs.FS, name string) (d Definition, err error) {
	parts := fileName.FindStringSubmatch(name)
	if parts == nil {
		return d, fmt.Errorf("%w: it is not named NAME.vN.sql", ErrDefinition)
	}
	text, err := fs.ReadFile(folder, name)
	if err != nil {
		return d, err
	}
	about, query, found := strings.Cut(string(text), "\n")
	about, comment := strings.CutPrefix(about, "-- ")
	switch {
	case len(text) > maxDefinition:
		return d, fmt.Errorf("%w: it has more than %d bytes", ErrDefinition, maxDefinition)
	case !found || !comment:
		return d, fmt.Errorf(`%w: its first line is not "-- what it is"`, ErrDefinition)
	}
	version, err := strconv.Atoi(parts[2])
	sum := sha256.Sum256(text)
	return Definition{parts[1], version, about, query, hex.EncodeToString(sum[:])}, err
}

// ErrUnknown says that there is no such definition.
var ErrUnknown = errors.New("there is no such metric")

// Find selects by name, all versions, or by name and version, as in first_response.v2.
// No names at all select everything.
func Find(all []Definition, names ...string) (list []Definition, err error) {
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		before := len(list)
		for _, d := range all {
			if d.Name == name || d.ID() == name {
				list = append(list, d)
			}
		}
		if len(list) == before {
			return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
		}
	}
	return list, nil
}
