package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/esdbstore"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// remote says in which database the log of a folder is, when it is not in the
// folder. It is kept there, so that read models never follow another log.
type remote struct {
	URL         string `json:"url"`              // without secrets
	Prefix      string `json:"prefix,omitempty"` // of our streams
	Credentials string `json:"credentials_file,omitempty"`
}

// checkRemote reports what is wrong with an address of a log.
func checkRemote(flag, text string) error {
	secret, err := esdbstore.CheckAddress(text)
	switch {
	case err != nil:
		return fmt.Errorf("%s must be esdb://host:port or esdb+discover://host:port: %w", flag, err)
	case secret:
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
		return nil, fmt.Errorf("%s is damaged: %w; it says which database has the log: remove it and name the database with --store again", f.storeFile(), err)
	}
	return r, nil
}

// belongTo makes the folder one of the database that is wanted, or refuses if it is
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

// openLog opens the folder's log for writing. A log that has lost its end is refused with
// a *lostLog.
func (f folder) openLog(ctx context.Context, logger *slog.Logger) (store.Log, error) {
	r, err := f.remote()
	if err == nil {
		err = f.tighten(logger)
	}
	if err != nil {
		return nil, err
	}
	if r == nil {
		if err := f.checkFile(ctx); err != nil {
			return nil, err
		}
		return openFile(f.log(), logger)
	}
	log, err := r.open(ctx, logger)
	if err != nil {
		return nil, err
	}
	if err := f.checkLog(ctx, log); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return log, nil
}

// openUnchecked opens the log for writing whatever others have seen of it.
func (f folder) openUnchecked(ctx context.Context, r *remote, logger *slog.Logger) (store.Log, error) {
	if r != nil {
		return r.open(ctx, logger)
	}
	return openFile(f.log(), logger)
}

func openFile(path string, logger *slog.Logger) (store.Log, error) {
	log, err := sqlitestore.Open(path, &sqlitestore.Options{Logger: logger})
	if err != nil {
		return nil, err // no interface around a nil pointer
	}
	return log, nil
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
	return openFileReading(f.log())
}

func openFileReading(path string) (readLog, error) {
	log, err := sqlitestore.OpenReadOnly(path)
	if err != nil {
		return nil, err // no interface around a nil pointer
	}
	return log, nil
}

// open connects to the database. It must be there now; later it may be away.
func (r *remote) open(ctx context.Context, logger *slog.Logger) (store.Log, error) {
	o := &esdbstore.Options{Prefix: r.Prefix, Categories: append(events.Categories(), events.CategoryForeign), Logger: logger}
	if r.Credentials != "" {
		line, err := secretIn(r.Credentials)
		if err != nil {
			return nil, fmt.Errorf("credentials of the database: %w", err)
		}
		var there bool
		if o.User, o.Password, there = strings.Cut(line, ":"); !there || o.User == "" {
			return nil, fmt.Errorf("%s must hold one line, user:password", r.Credentials)
		}
	}
	log, err := esdbstore.Open(ctx, r.URL, o)
	if err != nil {
		return nil, err // no interface around a nil pointer
	}
	return log, nil
}

// joins refuses a folder that lacks what the nodes of one log have in common: a new
// account would hide what the log has, another key could not read its secrets, and a
// new token would end the one that clients use.
func (f folder) joins(ctx context.Context, log store.LogReader) error {
	head, err := log.Head(ctx)
	if err != nil || head.IsZero() {
		return err
	}
	for _, path := range []string{f.path("account"), f.path("secrets", "vault-key"), f.path("secrets", authToken)} {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is missing, and the log has events: copy account, secrets/vault-key and secrets/%s from the data folder of another node", path, authToken)
		}
	}
	return nil
}
