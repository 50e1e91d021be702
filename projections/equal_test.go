package projections_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store/memstore"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// However the log is cut into batches, wherever the projection is stopped and
// started again, and however little memory it has: the rows are those of a
// rebuild from the beginning, and so is a rebuild with hardly any memory.
func TestIncrementalRowsEqualRebuiltOnes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, log := t.TempDir(), memstore.New()
		w := newWorld(rapid.Uint64Range(0, 1<<20).Draw(r, "seed"))
		w.rare = rapid.IntRange(2, 12).Draw(r, "rare")
		w.population = rapid.IntRange(1, 12).Draw(r, "population")
		options := &projections.Options{
			CacheRows:   rapid.SampledFrom([]int{2, 6, 40, 10_000}).Draw(r, "cache"),
			RebuildRows: rapid.SampledFrom([]int{2, 20, 200, 10_000}).Draw(r, "rebuild"),
		}
		for range rapid.IntRange(1, 4).Draw(r, "restarts") {
			w.grow(t, log, rapid.IntRange(0, 150).Draw(r, "steps"))
			sizes := rapid.SliceOfN(rapid.IntRange(1, 60), 0, 8).Draw(r, "batches")
			rm, err := projections.Open(dir, log, options)
			require.NoError(r, err)
			require.NoError(r, projections.ApplySome(context.Background(), rm, sizes))
			require.NoError(r, rm.Close())
		}
		rm, err := projections.Open(dir, log, options)
		require.NoError(r, err)
		defer func() { require.NoError(r, rm.Close()) }()
		head, err := log.Head(context.Background())
		require.NoError(r, err)
		require.NoError(r, projections.FollowWithoutFilling(context.Background(), rm, head))
		rebuilt, err := rm.Rebuild(context.Background(), projections.RebuildOptions{}, nil)
		var differ *projections.MismatchError
		if errors.As(err, &differ) {
			r.Fatalf("%v: %+v %+v", differ, differ.Differences, differ.Violations)
		}
		require.NoError(r, err)
		require.True(r, rebuilt.Verified)
		require.Equal(r, head, rebuilt.Position)
	})
}

const childVariable = "PARLEY_TEST_PROJECT_IN"

// TestMain is also the child of other tests: a process that does nothing but
// follow a log until it is killed, or one that reads once.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		followUntilKilled(dir)
		return
	}
	if dir := os.Getenv(readerVariable); dir != "" {
		if err := readOnce(dir); err != nil {
			panic(err)
		}
		return
	}
	code := m.Run()
	if dir, err := history(); err == nil {
		_ = os.RemoveAll(dir) // the benchmarks' log
	}
	os.Exit(code)
}

func followUntilKilled(dir string) {
	log, err := sqlitestore.Open(dir+"/log.db", nil)
	if err != nil {
		panic(err)
	}
	rm, err := projections.Open(dir+"/read", log, &projections.Options{CacheRows: 50})
	if err != nil {
		panic(err)
	}
	w := newWorld(uint64(time.Now().UnixNano()))
	w.serial = int(time.Now().UnixNano())
	go func() { _ = rm.Run(context.Background()) }() // the process is killed under it
	t := &testing.T{}
	w.append(t, log, w.begin()[2]) // a role; each child makes its own
	for {
		for range 50 {
			w.append(t, log, w.step())
		}
		if _, err := os.Stdout.WriteString("."); err != nil {
			return
		}
	}
}

func TestAfterAKillTheRowsEqualTheirRebuild(t *testing.T) {
	dir := t.TempDir()
	for range 4 {
		killChild(t, dir)
		log, err := sqlitestore.Open(dir+"/log.db", nil)
		require.NoError(t, err)
		rm, err := projections.Open(dir+"/read", log, nil)
		require.NoError(t, err)
		head, err := log.Head(t.Context())
		require.NoError(t, err)
		require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, head))
		rebuilt, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
		require.NoError(t, err)
		require.True(t, rebuilt.Verified)
		require.NoError(t, rm.Close())
		require.NoError(t, log.Close())
	}
}

// killChild runs the child until it has appended some, and kills it.
func killChild(t *testing.T, dir string) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	_, err = out.Read(make([]byte, 1))
	require.NoError(t, err)
	_, err = out.Read(make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
}
