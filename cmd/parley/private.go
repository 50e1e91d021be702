package main

import (
	"cmp"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
)

// ownNames are the names of what Parley makes in a data folder, as patterns. Uploads lie below a
// folder that nobody else enters, and definitions of metrics are not ours.
var ownNames = []string{
	"log.db*", "store.json*", "read*", "metrics.db*", "snapshots.db*", "bus", "reactors", "account*", "secrets", "media",
	"last-backup.json*", "rescued-*", "endpoints.json*",
}

// tighten takes from everybody but the owner what Parley has made in the folder, and the
// folder itself, which may have been made beforehand for all to see, or by a version that
// did not look. What belongs to somebody else, such as a volume of a container, cannot be
// changed: what is made in it is for the owner only, and it is said.
func (f folder) tighten(logger *slog.Logger) error {
	if f.exists() != nil {
		return nil //nolint:nilerr // it has nothing of ours yet
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	var found tightening
	err := filepath.WalkDir(string(f), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the server that runs has removed it
		}
		if err != nil {
			return err
		}
		if filepath.Dir(path) == filepath.Clean(string(f)) && !isOurs(d.Name()) {
			return skip(d)
		}
		if err := found.one(path, d); err != nil || path != f.media() {
			return err
		}
		return fs.SkipDir
	})
	found.tell(logger, string(f))
	return err
}

// tightening counts what others could see, for one line in the log of each kind.
type tightening struct {
	closed int    // files and folders that they no longer see
	open   int    // that are somebody else's
	first  string // of those
}

func (n *tightening) tell(logger *slog.Logger, folder string) {
	if n.closed > 0 {
		logger.Info("others may no longer see what is in the data folder", "folder", folder, "files_and_folders", n.closed)
	}
	if n.open > 0 {
		logger.Warn("others may see what is in the data folder, and it is not ours to change", "folder", folder, "files_and_folders", n.open, "first", n.first)
	}
}

func isOurs(name string) bool {
	return slices.ContainsFunc(ownNames, func(pattern string) bool {
		ok, _ := filepath.Match(pattern, name) // patterns are well-formed
		return ok
	})
}

// skip goes on without an entry and what is below it.
func skip(d fs.DirEntry) error {
	if d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// one takes a file or folder from everybody but its owner.
func (n *tightening) one(path string, d fs.DirEntry) error {
	if !d.IsDir() && !d.Type().IsRegular() {
		return nil
	}
	info, err := d.Info()
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	err = os.Chmod(path, info.Mode()&^0o077)
	switch {
	case err == nil:
		n.closed++
	case errors.Is(err, fs.ErrPermission):
		n.first = cmp.Or(n.first, path)
		n.open++
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}
