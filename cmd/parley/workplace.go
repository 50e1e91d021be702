package main

import (
	"errors"
	"os"
	"path/filepath"
)

// Folders in which backups are made, checked and unpacked, beside what comes of them.
const (
	placeBackup  = ".parley-backup-*"
	placeVerify  = ".parley-verify-*"
	placeRestore = ".parley-restore-*"
)

// workplace is a folder that a command works in, and that goes with it.
type workplace struct {
	dir  string
	lock *os.File // held for as long as somebody works; the system lets go of it
}

// newWorkplace makes one within a folder, after it has cleared away those that somebody
// who was killed has left there: they may have a log in them, with all its messages.
func newWorkplace(within, pattern string) (*workplace, error) {
	if err := clearLeft(within); err != nil {
		return nil, err
	}
	for {
		dir, err := os.MkdirTemp(within, pattern)
		if err != nil {
			return nil, err
		}
		lock, err := lockFolder(dir)
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		if _, err := os.Stat(dir); err == nil {
			return &workplace{dir, lock}, nil
		}
		_ = lock.Close() // somebody took it for a leftover before it was locked: another one
	}
}

// clearLeft removes what nobody works in any more.
func clearLeft(within string) error {
	for _, pattern := range []string{placeBackup, placeVerify, placeRestore} {
		left, err := filepath.Glob(filepath.Join(within, pattern))
		if err != nil {
			return err
		}
		for _, dir := range left {
			lock, err := lockFolder(dir)
			if err != nil {
				continue // somebody works in it, or it is not ours to judge
			}
			if err := errors.Join(os.RemoveAll(dir), lock.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// path is of a file in it.
func (w *workplace) path(name string) string { return filepath.Join(w.dir, name) }

// close removes the folder, if it has not got another name.
func (w *workplace) close() error { return errors.Join(os.RemoveAll(w.dir), w.lock.Close()) }
