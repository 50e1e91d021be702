// Package secret reads what must not stand in the configuration: it names files.
package secret

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// most is how long a secret may be, in bytes.
const most = 64 << 10

// Read returns the content of a file without the newline at its end. A file that
// cannot be read, is empty, is longer than 64 KiB or has several lines is an
// error, which never says what is in it.
func Read(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	text := string(bytes.TrimRight(content, "\r\n"))
	switch {
	case text == "":
		return "", fmt.Errorf("read a secret: %s is empty", path)
	case len(text) > most:
		return "", fmt.Errorf("read a secret: %s is longer than %d bytes", path, most)
	case strings.ContainsAny(text, "\r\n"):
		return "", fmt.Errorf("read a secret: %s has more than one line", path)
	}
	return text, nil
}
