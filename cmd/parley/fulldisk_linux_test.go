package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// smallDisk mounts a file system in memory of 24 MB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m")
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EACCES) {
		t.Skip("a small file system is needed, and mounting one needs rights that this user does not have:", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

// fillUp writes a file until nothing more fits.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	_, err = io.Copy(f, endless{})
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, f.Close())
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// On a full disk commands get a typed answer that allows to try again, the
// server ends and says why, and after space was made the next one has
// everything that was acknowledged.
func TestFullDiskLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	dir, filler := filepath.Join(disk, "data"), filepath.Join(disk, "filler")
	server := serving(t, dir, "--log-level", "error")
	client := dial(t, dir, nats.NoReconnect())
	made := client.request(t, "parley.call.new", `{"command":"conversation.create","data":{"unique_name":"order"}}`)
	require.True(t, made.OK, made)

	acknowledged := 1
	require.True(t, client.add(t, made.Outcome.Sid, 1).OK)
	fillUp(t, filler)
	var refused answer
	for refused.OK = true; refused.OK; {
		if refused = client.add(t, made.Outcome.Sid, acknowledged+1); refused.OK {
			acknowledged++
		}
	}
	require.Equal(t, "unavailable", refused.Error.Kind)
	require.True(t, refused.Error.Retryable)

	<-server.ended
	require.Equal(t, exitFailure, server.cmd.ProcessState.ExitCode())
	require.Regexp(t, `(?m)^error: log: .*disk (is full|failed)`, server.errOut.String())

	fillUp(t, filler+"-2") // what the shutdown gave back would do for a start
	_, errOut, code := parley(t, "serve", "--data", dir)
	require.Equal(t, exitFailure, code)
	require.Contains(t, errOut, "error: ")

	require.NoError(t, os.Remove(filler))
	require.NoError(t, os.Remove(filler+"-2"))
	serving(t, dir, "--log-level", "error")
	client = dial(t, dir)
	again := client.add(t, made.Outcome.Sid, acknowledged+1)
	require.True(t, again.OK, again)
	require.NoError(t, eventually("all messages are listed", func() (bool, error) {
		out, _, _ := parley(t, "message", "list", "order", "--data", dir)
		return strings.Count(out, "\n") == acknowledged+1, nil
	}))
}

// A log that accepts nothing more is not ready, whoever wrote last: not only who writes
// next finds out. An append that is refused by itself says nothing of the log.
func TestALogThatFailedIsNotReady(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	log, err := sqlitestore.Open(filepath.Join(disk, "log.db"), nil)
	require.NoError(t, err)
	defer log.Close() //nolint:errcheck // it failed
	watched := watchedLog{Log: log, failed: make(chan error, 1)}
	batch := func(n int) []events.Proposed {
		return []events.Proposed{{ID: events.NameID(fmt.Sprint(n)), Type: "t.v1", Data: fmt.Appendf(nil, "%q", strings.Repeat("x", 100_000))}}
	}
	_, err = watched.Append(t.Context(), "conversation-1", store.End-1, append(batch(0), batch(1)...))
	require.ErrorAs(t, err, new(*store.ConflictError))
	_, err = watched.Append(t.Context(), "", store.NoStream, batch(0))
	require.ErrorIs(t, err, store.ErrInvalid)
	require.Empty(t, watched.accepts())
	require.Empty(t, watched.failed)

	fillUp(t, filepath.Join(disk, "filler"))
	for n, err := 0, error(nil); err == nil; n++ {
		if _, err = watched.Append(t.Context(), "conversation-1", store.Revision(n-1), batch(n)); err != nil {
			require.ErrorIs(t, err, store.ErrUnavailable)
		}
	}
	require.Contains(t, watched.accepts(), "a write failed")
	require.Error(t, <-watched.failed)
	_, err = watched.Append(t.Context(), "conversation-2", store.NoStream, batch(0))
	require.ErrorIs(t, err, store.ErrUnavailable, "who writes next may ask again")
}

// add sends message n, with an id made from n, and 10 000 bytes long.
func (p plain) add(t *testing.T, sid string, n int) (a answer) {
	t.Helper()
	body := fmt.Sprintf(`{"id":"00000000-0000-4000-8000-%012d","command":"conversation.add-message","data":{"body":%q}}`, n, strings.Repeat("x", 10_000))
	reply, err := p.Request("parley.call."+sid, []byte(body), patience)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(reply.Data, &a))
	return a
}

// A full disk ends an export with a clear sentence, wherever it meets it; the log is as it
// was. With room again it goes on to the same bytes, or begins anew.
func TestFullDiskEndsAnExport(t *testing.T) {
	t.Parallel()
	dir, disk, elsewhere := t.TempDir(), smallDisk(t), filepath.Join(t.TempDir(), "whole")
	require.NoError(t, folder(dir).furnish())
	longHistory(t, folder(dir).log(), 6000)
	_, errOut, code := parley(t, "export", "--data", dir, "--out", elsewhere)
	require.Equal(t, exitOK, code, errOut)

	for _, room := range []int64{0, 100_000, 2 << 20, 4 << 20} { // rows, and files of several tables
		filler, out := filepath.Join(disk, "filler"), filepath.Join(disk, fmt.Sprint("out", room))
		fillUp(t, filler)
		info, err := os.Stat(filler)
		require.NoError(t, err)
		require.NoError(t, os.Truncate(filler, info.Size()-room))
		_, errOut, code := parley(t, "export", "--data", dir, "--out", out)
		require.Equal(t, exitFailure, code, errOut)
		require.Contains(t, errOut, "no space left on device")
		require.NoFileExists(t, filepath.Join(out, "manifest.json"))
		require.NoError(t, os.Remove(filler))
		for _, how := range [][]string{{"--resume"}, {"--resume"}} { // twice: it is finished then
			_, errOut, code = parley(t, append([]string{"export", "--data", dir, "--out", out}, how...)...)
			require.Equal(t, exitOK, code, errOut)
		}
		require.Equal(t, contents(t, elsewhere), contents(t, out))
		require.NoError(t, os.RemoveAll(out))
	}
}

// A backup that finds no room leaves nothing, and what it was of as it was.
func TestABackupOnAFullDiskLeavesNothing(t *testing.T) {
	t.Parallel()
	disk, data := smallDisk(t), folder(t.TempDir())
	require.NoError(t, data.furnish())
	log, err := sqlitestore.Open(data.log(), nil)
	require.NoError(t, err)
	large := make([]byte, 100_000)
	for i := range 50 {
		_, _ = rand.Read(large)
		_, err := log.Append(t.Context(), "order-1", store.Revision(i-1), []events.Proposed{{
			ID: events.NameID(fmt.Sprint(i)), Type: "conversation.removed.v1", Data: fmt.Appendf(nil, `{"x":%q}`, hex.EncodeToString(large)),
		}})
		require.NoError(t, err)
	}
	require.NoError(t, log.Close())
	require.NoError(t, writeFile(data.path("account"), []byte("AC1\n")))
	before, err := os.ReadFile(data.log())
	require.NoError(t, err)

	const some = 1 << 20
	for room, says := range map[int64]string{some: "full", int64(len(before)) + some: "no space left"} { // the archive has none, too
		filler := filepath.Join(disk, "filler")
		fillUp(t, filler)
		info, err := os.Stat(filler)
		require.NoError(t, err)
		require.NoError(t, os.Truncate(filler, info.Size()-room))
		p := packing{folder: data, media: data.media(), out: filepath.Join(disk, "x.backup"), progress: func(int) {}}
		_, err = p.run(t.Context())
		require.ErrorContains(t, err, says)
		left, err := os.ReadDir(disk)
		require.NoError(t, err)
		require.Len(t, left, 1, "the filler")
	}
	after, err := os.ReadFile(data.log())
	require.NoError(t, err)
	require.Equal(t, before, after)
}
