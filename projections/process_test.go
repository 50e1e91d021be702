package projections_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
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

// Whoever reads while generations come and go finds one, also when the first one is
// deleted as soon as there is a filled one.
func TestReadersFindAGenerationWhileTheyComeAndGo(t *testing.T) {
	log, w := memstore.New(), newWorld(1)
	w.grow(t, log, 50)
	for range 5 {
		dir := t.TempDir()
		rm := open(t, dir, log, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			for ctx.Err() == nil {
				q, err := projections.OpenReadOnly(dir)
				if err == nil {
					_, err = q.Position(t.Context())
					err = errors.Join(err, q.Close())
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
		head, err := log.Head(t.Context())
		require.NoError(t, err)
		follow(t, rm, head)
		cancel()
		group.Wait()
	}
}
