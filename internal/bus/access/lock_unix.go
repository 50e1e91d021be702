//go:build unix

package access

import (
	"fmt"
	"os"
	"syscall"
)

// Lock waits until no other process changes the file, and keeps others waiting until
// unlock is called. The system lets go of it when the process dies.
func (f File) Lock() (unlock func() error, err error) {
	file, err := os.OpenFile(string(f)+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		_ = file.Close() // nothing was written
		return nil, fmt.Errorf("lock %s: %w", f, err)
	}
	return file.Close, nil // closing releases the lock
}
