package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"slices"

	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// remote says in which database the log of a folder is, when it is not in the
// folder. It is kept there, so that read models never follow another log.
type remote struct {
	URL         string `json:"url"`              // without secrets
	Prefix      string `json:"prefix,omitempty"` // of our streams
	Credentials string `json:"credentials_file,omitempty"`
}

// remoteSchemes are those of a log that several nodes can share.
var remoteSchemes = []string{"esdb", "esdb+discover", "kurrentdb", "kurrentdb+discover"}

// checkRemote reports what is wrong with an address of a log.
func checkRemote(flag, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || !slices.Contains(remoteSchemes, u.Scheme):
		return fmt.Errorf("%s must be esdb://host:port or esdb+discover://host:port", flag)
	case u.User != nil:
		return fmt.Errorf("%s must not hold a secret; give %s-credentials-file", flag, flag)
	}
	return nil
}

func (f folder) storeFile() string { return f.path("store.json") }

// remote returns where the folder's log is, nil when it is in the folder.
func (f folder) remote() (*remote, error) {
	data, err := os.ReadFile(f.storeFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := new(remote)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", f.storeFile(), err)
	}
	return r, nil
}

// settle makes the folder one of the database that is wanted, or refuses if it is
// another's. An empty address leaves it as it is.
func (f folder) belongTo(wanted remote) error {
	if wanted.URL == "" {
		return nil
	}
	now, err := f.remote()
	if err != nil {
		return err
	}
	if now != nil && (now.URL != wanted.URL || now.Prefix != wanted.Prefix) {
		return fmt.Errorf("%s belongs to %s; its read models are of no use elsewhere: choose another folder", f, now.URL)
	}
	if _, err := os.Stat(f.log()); err == nil {
		return fmt.Errorf("%s has a log of its own; parley store copy takes it to %s, and another folder goes with that", f, wanted.URL)
	}
	data, err := json.Marshal(wanted)
	if err != nil {
		return err
	}
	return writeFile(f.storeFile(), append(data, '\n'))
}

// openLog opens the folder's log for writing.
func (f folder) openLog(ctx context.Context, logger *slog.Logger) (store.Log, error) {
	r, err := f.remote()
	switch {
	case err != nil:
		return nil, err
	case r != nil:
		return r.open(ctx, logger)
	}
	return sqlitestore.Open(f.log(), &sqlitestore.Options{Logger: logger})
}

// readLog is a log opened for looking only.
type readLog interface {
	store.StreamReader
	store.LogReader
	Close() error
}

// openReading opens the folder's log for looking, whoever writes to it.
func (f folder) openReading(ctx context.Context) (readLog, error) {
	r, err := f.remote()
	switch {
	case err != nil:
		return nil, err
	case r != nil:
		return r.open(ctx, nil)
	}
	return sqlitestore.OpenReadOnly(f.log())
}

// open connects to the database.
func (r *remote) open(ctx context.Context, logger *slog.Logger) (store.Log, error) {
	return nil, errors.New("TODO")
}
