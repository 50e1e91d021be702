//go:build linux

package blob_test

import (
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAFullDiskLeavesNothing has the system refuse to let files grow, which
// writers see as they see a full disk: an error in the middle of the content.
func TestAFullDiskLeavesNothing(t *testing.T) {
	dir, s := open(t)
	kept := put(t, s, "small")
	before := files(t, dir)

	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var usual syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &usual))
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 50_000, Max: usual.Max}))
	_, err := s.Put(t.Context(), strings.NewReader(strings.Repeat("x", 100_000)), 1<<20)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &usual))

	require.ErrorIs(t, err, syscall.EFBIG)
	require.Equal(t, before, files(t, dir))
	require.Equal(t, "small", read(t, s, kept.SHA256))
	put(t, s, strings.Repeat("x", 100_000))
}
