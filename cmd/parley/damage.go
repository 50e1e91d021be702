package main

import (
	"fmt"
)

// damagedQueue says what is lost with a queue that cannot be read, and how to go on.
func damagedQueue(path string, err error) error {
	return fmt.Errorf("%s cannot be used: %w; it has what is to be done outside and what was done: bring it back, or move it away, and what is in the log by the next start leads to nothing again", path, err)
}
