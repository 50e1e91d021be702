//go:build unix

package main

import (
	"errors"
	"os"
	"syscall"
)

var errWorkedIn = errors.New("somebody works in the folder")

// lockFolder takes a folder for this process, until the file is closed or the process
// dies, however it does.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(errWorkedIn, f.Close())
	}
	return f, nil
}
