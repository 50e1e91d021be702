//go:build !unix

package sqlitestore

import (
	"fmt"
	"os"
)

// lockFile takes the writer's lock of the log at path. Where there is no flock
// the lock file is opened for ever shorter than the log is: a file that cannot
// be removed is open elsewhere.
func lockFile(path string) (*os.File, error) {
	if err := os.Remove(path + ".lock"); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("log %s is open for writing elsewhere: %w", path, ErrLocked)
	}
	return os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}
