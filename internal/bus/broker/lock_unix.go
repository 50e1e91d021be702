//go:build unix

package broker

import (
	"os"
	"syscall"
)

// lock takes the file for this process; the system lets go of it when the
// process dies, however it dies.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // the lock was refused; there is nothing to keep
		return nil, ErrLocked
	}
	return func() { _ = f.Close() }, nil // closing releases the lock
}
