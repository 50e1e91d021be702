package projections_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store/memstore"
)

const readerVariable = "PARLEY_TEST_READ_FROM"

// readOnce is what a command line does beside a server: open, ask, close. It is
// the whole life of a child process.
func readOnce(dir string) error {
	q, err := projections.OpenReadOnly(dir)
	if err != nil {
		return err
	}
	position, err := q.Position(context.Background())
	if err != nil {
		return err
	}
	fmt.Println(position)
	return q.Close()
}

// readElsewhere reads the folder in another process and returns what it saw.
func readElsewhere(t *testing.T, dir string) string {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), readerVariable+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// A reader that is the last to leave deletes the write-ahead file. It takes
// itself for the last when the server's locks are gone, and they go as soon as
// the server's own process closes another descriptor of the file.
func TestReadersInOtherProcessesSeeEveryCommitAndLeaveTheFilesAlone(t *testing.T) {
	dir, log, w := t.TempDir(), memstore.New(), newWorld(1)
	rm := open(t, dir, log, nil)
	filled := w.grow(t, log, 50)
	run(t, rm)
	require.NoError(t, rm.Wait(t.Context(), filled))
	require.Equal(t, filled.String(), readElsewhere(t, dir))
	requireSeen := func() {
		t.Helper()
		position := w.grow(t, log, 20)
		require.NoError(t, rm.Wait(t.Context(), position))
		require.Equal(t, position.String(), readElsewhere(t, dir))
		require.FileExists(t, projections.LivePath(rm)+"-wal")
	}
	for range 3 {
		requireSeen()
	}
	_, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
	require.NoError(t, err)
	for range 3 {
		requireSeen()
	}
}
