package export

import (
	"hash"
	"io"
)

// measured counts and sums up what is written.
type measured struct {
	to    io.Writer
	hash  hash.Hash
	bytes int64
}

func (m *measured) Write(b []byte) (int, error) {
	n, err := m.to.Write(b)
	m.bytes += int64(n)
	_, _ = m.hash.Write(b[:n]) // never fails
	return n, err
}
