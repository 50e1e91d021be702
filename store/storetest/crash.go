package storetest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

const (
	crashDir     = "PARLEY_STORETEST_CRASH_DIR"
	crashRound   = "PARLEY_STORETEST_CRASH_ROUND"
	crashStreams = 16
)

// Crash kills a process that appends, at a random moment, and looks at what it
// left: everything it had acknowledged is there, once. It is called by a test of
// the backend, and runs that same test in another process: there it appends
// until it is killed.
func Crash(t *testing.T, h Harness, rounds int) {
	if dir := os.Getenv(crashDir); dir != "" {
		appendUntilKilled(t, h.Open(t, dir), os.Getenv(crashRound), os.Stdout)
		return
	}
	dir := t.TempDir()
	acknowledged := map[string]store.Revision{}
	for round := range rounds {
		for _, line := range runAndKill(t, dir, round, 20+rand.IntN(400)) {
			stream, revision, err := parseAck(line)
			require.NoError(t, err)
			acknowledged[stream] = max(acknowledged[stream], revision)
		}
		checkSurvivors(t, h, dir, acknowledged)
	}
}

// appendUntilKilled prints a line for every acknowledged append.
func appendUntilKilled(t testing.TB, l store.Log, round string, out io.Writer) {
	var mu sync.Mutex
	concurrently(crashStreams, func(n int) {
		stream := fmt.Sprintf("conversation-%d", n)
		revision := store.Revision(len(collect(t, l.ReadStream(t.Context(), stream, 0, store.Forwards)))) - 1
		for i := 0; ; i++ {
			batch := make([]events.Proposed, 1+i%3)
			for k := range batch {
				id := events.NameID(fmt.Sprintf("%s %s %d %d", round, stream, i, k))
				batch[k] = events.Proposed{ID: id, Type: "test.happened.v1", Data: fmt.Appendf(nil, `{"id":%q}`, id)}
			}
			appended, err := l.Append(context.Background(), stream, revision, batch)
			if err != nil {
				return
			}
			revision = appended.Revision
			mu.Lock()
			_, err = fmt.Fprintf(out, "ack %s %d\n", stream, revision)
			mu.Unlock()
			if err != nil {
				return
			}
		}
	})
}

// runAndKill returns the acknowledgements the process could print. After the
// given number of them it is killed; that it goes on appending meanwhile makes
// the moment random.
func runAndKill(t testing.TB, dir string, round, after int) []string {
	name, _, _ := strings.Cut(t.Name(), "/")
	command := exec.Command(os.Args[0], "-test.run=^"+name+"$", "-test.count=1")
	command.Env = append(os.Environ(), crashDir+"="+dir, crashRound+"="+strconv.Itoa(round))
	out, err := command.StdoutPipe()
	require.NoError(t, err)
	command.Stderr = os.Stderr
	require.NoError(t, command.Start())
	var acks []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "ack ") {
			acks = append(acks, lines.Text())
		}
		if len(acks) == after {
			require.NoError(t, command.Process.Kill())
		}
	}
	require.Error(t, command.Wait(), "the process was killed")
	require.GreaterOrEqual(t, len(acks), after)
	return acks
}

func parseAck(line string) (stream string, revision store.Revision, err error) {
	_, err = fmt.Sscanf(line, "ack %s %d", &stream, &revision)
	return stream, revision, err
}

// checkSurvivors opens what the killed process left.
func checkSurvivors(t testing.TB, h Harness, dir string, acknowledged map[string]store.Revision) {
	l := h.Open(t, dir)
	defer func() { require.NoError(t, l.Close()) }()
	for stream, revision := range acknowledged {
		list := collect(t, l.ReadStream(t.Context(), stream, 0, store.Forwards))
		require.Greater(t, len(list), int(revision), "acknowledged events of %s", stream)
		for i, e := range list {
			require.EqualValues(t, i, e.Revision)
			require.Equal(t, fmt.Sprintf(`{"id":%q}`, e.ID), string(e.Data))
		}
	}
	CheckLog(t, l, events.Position{})
}
