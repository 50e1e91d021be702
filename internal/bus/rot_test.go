package bus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/bus/broker"
	"github.com/parley-engine/parley/internal/bus/broker/salvage"
	"github.com/parley-engine/parley/internal/engine"
)

func TestTheBrokerKnowsTheStreamsByTheirNames(t *testing.T) {
	require.Equal(t, bus.StreamCommands, salvage.Commands)
	require.Equal(t, bus.StreamEvents, salvage.Events)
	require.Equal(t, bus.StreamDead, salvage.Dead)
	require.Equal(t, salvage.Reader, "parley-"+strings.NewReplacer(".", "_", ">", "all").Replace(bus.SubjectSend))
}

// doings are which commands were done, under which ids, how often.
type doings struct {
	mu    sync.Mutex
	ids   map[int]events.ID
	times map[int]int
	more  chan struct{}
}

func newDoings() *doings {
	return &doings{ids: map[int]events.ID{}, times: map[int]int{}, more: make(chan struct{}, 1)}
}

func (d *doings) execute(ctx context.Context, c engine.Command) (engine.Outcome, error) {
	var data struct{ N int }
	if err := json.Unmarshal(c.Body, &data); err != nil {
		return engine.Outcome{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if id, known := d.ids[data.N]; known && id != c.ID {
		return engine.Outcome{}, fmt.Errorf("command %d came under two ids", data.N)
	}
	d.ids[data.N] = c.ID
	d.times[data.N]++
	select {
	case d.more <- struct{}{}:
	default:
	}
	return accept(ctx, c)
}

// copied is a start with what another one knows.
func (d *doings) copied() *doings {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := newDoings()
	for n, id := range d.ids {
		c.ids[n] = id
	}
	return c
}

// missing are those that were not done, of a range.
func (d *doings) missing(from, to int) (list []int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n := from; n < to; n++ {
		if d.times[n] == 0 {
			list = append(list, n)
		}
	}
	return list
}

func (d *doings) await(t *testing.T, from, to, without int) {
	t.Helper()
	late := time.After(soon)
	for len(d.missing(from, to)) > without {
		select {
		case <-d.more:
		case <-late:
			require.Fail(t, "commands are not done", "%v of %d to %d; %d were told to be lost", d.missing(from, to), from, to, without)
		}
	}
}

// told keeps what a server says.
type told struct {
	mu   sync.Mutex
	lost uint64
	all  strings.Builder
}

func (l *told) Enabled(context.Context, slog.Level) bool { return true }
func (l *told) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *told) WithGroup(string) slog.Handler            { return l }
func (l *told) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprint(&l.all, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "commands" {
			l.lost += a.Value.Uint64()
		}
		fmt.Fprint(&l.all, " ", a)
		return true
	})
	fmt.Fprintln(&l.all)
	return nil
}

const (
	rotHandled = 400
	rotWaiting = 80
)

// rotSubject is of all shapes that there are.
func rotSubject(n int) string {
	switch n % 4 {
	case 0:
		return "parley.commands.new"
	case 1:
		return fmt.Sprintf("parley.commands.CH%032x", n%7)
	case 2:
		return fmt.Sprintf("parley.commands.US%032x", n)
	}
	return fmt.Sprintf("parley.commands.CH%02d", n%10)
}

func rotCommand(n int) *nats.Msg {
	m := nats.NewMsg(rotSubject(n))
	m.Data = fmt.Appendf(nil, `{"command":"conversation.update","data":{"n":%d,"x":%q}}`, n, strings.Repeat("x", n%50))
	if n%5 == 0 {
		m.Header.Set(bus.HeaderCommand, "conversation.update")
		m.Data = fmt.Appendf(nil, `{"n":%d}`, n)
	}
	return m
}

func sendRange(t *testing.T, nc *nats.Conn, from, to int) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	for n := from; n < to; n++ {
		_, err := js.PublishMsg(within(t, soon), rotCommand(n))
		require.NoError(t, err)
	}
}

// rotFolders are a broker's folder with commands that were done and some that wait: one
// of a server that was stopped, and one of a server that was killed.
func rotFolders(t *testing.T) (stopped, killed string, done *doings) {
	t.Helper()
	stopped, killed = filepath.Join(t.TempDir(), "stopped"), filepath.Join(t.TempDir(), "killed")
	done = newDoings()
	server := startBroker(t, stopped)
	nc := connect(t, server)
	stop := startBus(t, nc, done.execute, nil)
	sendRange(t, nc, 0, rotHandled)
	done.await(t, 0, rotHandled, 0)
	stop()
	sendRange(t, nc, rotHandled, rotHandled+rotWaiting)
	require.Eventually(t, func() bool {
		n, err := os.ReadFile(filepath.Join(stopped, "progress"))
		return err == nil && strings.Contains(string(n), fmt.Sprintf(`"last":%d,`, rotHandled+rotWaiting)) && strings.Contains(string(n), `"FloorStream":400`)
	}, soon, 10*time.Millisecond)
	require.NoError(t, os.CopyFS(killed, os.DirFS(stopped)))
	nc.Close()
	server.Stop()
	return stopped, killed, done
}

// hurt changes one of the files that match: some of its bits, a run of bytes to zeros, or
// its length.
func hurt(t *testing.T, random *rand.Rand, dir, glob string) (what string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(glob)))
	require.NoError(t, err)
	if len(paths) == 0 {
		return "nothing at " + glob
	}
	path := paths[random.IntN(len(paths))]
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	if len(content) == 0 {
		return "nothing in " + glob
	}
	at := random.IntN(len(content))
	switch how := random.IntN(10); how {
	case 0:
		content = content[:at]
		what = fmt.Sprint("cut at ", at)
	case 1:
		to := min(len(content), at+1+random.IntN(5000))
		clear(content[at:to])
		what = fmt.Sprint("zeros from ", at, " to ", to)
	default:
		for range 1 + random.IntN(20) {
			content[at] ^= byte(1 << random.IntN(8))
			what += fmt.Sprint(" bit at ", at)
			at = random.IntN(len(content))
		}
	}
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return filepath.Base(path) + ": " + what
}

// requireDoneOrTold starts on a folder that was hurt: what waited is done, or its loss was
// told before anybody could connect; what comes then is done.
func requireDoneOrTold(t *testing.T, dir string, former *doings) (again int) {
	t.Helper()
	log := &told{}
	server, err := broker.Start(dir, &broker.Options{Token: "secret", SyncInterval: time.Minute, Logger: slog.New(log)})
	require.NoError(t, err)
	defer server.Stop()
	lost := int(log.lost)
	nc := connect(t, server)
	defer nc.Close()
	done := former.copied()
	stop := startBus(t, nc, done.execute, &bus.Options{Logger: slog.New(log)})
	defer stop()
	const end = rotHandled + rotWaiting
	sendRange(t, nc, end, end+20)
	done.await(t, end, end+20, 0)
	done.await(t, rotHandled, end, lost)
	require.LessOrEqual(t, lost, rotWaiting, "all of them, and no more")
	for n, times := range done.times {
		require.LessOrEqual(t, times, 1, n)
		if n < rotHandled {
			again++
		}
	}
	require.Empty(t, letters(t, nc, ""), log.all.String())
	return again
}

// Whatever bytes of a stopped broker's files change, each acknowledged command is done, or
// its loss is told before the next acknowledgement; nothing is done twice.
func TestRotLosesNothingUntold(t *testing.T) {
	stopped, killed, former := rotFolders(t)
	const commands = "jetstream/*/streams/" + bus.StreamCommands
	for name, glob := range map[string]string{
		"blocks":                 commands + "/msgs/*.blk",
		"index":                  commands + "/msgs/index.db",
		"description":            commands + "/meta.*",
		"consumer's state":       commands + "/obs/*/o.dat",
		"consumer's description": commands + "/obs/*/meta.*",
		"note of the progress":   "progress",
		"checkpoint":             "jetstream/*/streams/*/msgs/*.blk",
	} {
		for state, from := range map[string]string{"stopped": stopped, "killed": killed} {
			t.Run(name+" "+state, func(t *testing.T) {
				seed := rand.Uint64()
				random := rand.New(rand.NewPCG(seed, 0))
				for round := range rotRounds {
					dir := filepath.Join(t.TempDir(), "bus")
					require.NoError(t, os.CopyFS(dir, os.DirFS(from)))
					var what []string
					for one := range strings.SplitSeq(glob, "|") {
						what = append(what, hurt(t, random, dir, one))
					}
					t.Logf("seed %d, round %d: %s", seed, round, what)
					again := requireDoneOrTold(t, dir, former)
					if state == "stopped" && !strings.Contains(glob, "progress") {
						require.Zero(t, again, "done before, and came again")
					}
				}
			})
		}
	}
}

// The broker comes upon damage while it is open, cuts the stream off there, and gives
// sequences again that its consumer has passed. What it acknowledges then is done.
func TestCommandsThatGotSequencesOfFormerOnesAreDone(t *testing.T) {
	_, killed, former := rotFolders(t)
	blocks, err := filepath.Glob(filepath.Join(killed, "jetstream/*/streams", bus.StreamCommands, "msgs/*.blk"))
	require.NoError(t, err)
	for _, path := range blocks {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.NoError(t, os.Truncate(path, info.Size()/2))
	}
	plain, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: killed, NoSigs: true})
	require.NoError(t, err)
	plain.Start()
	require.True(t, plain.ReadyForConnections(soon))
	nc, err := nats.Connect(plain.ClientURL())
	require.NoError(t, err)
	const end = rotHandled + rotWaiting
	sendRange(t, nc, end, end+18)
	nc.Close()
	plain.Shutdown()
	plain.WaitForShutdown()

	log := &told{}
	embedded, err := broker.Start(killed, &broker.Options{Token: "secret", SyncInterval: time.Minute, Logger: slog.New(log)})
	require.NoError(t, err)
	t.Cleanup(embedded.Stop)
	require.Contains(t, log.all.String(), "sequences were given again")
	done := former.copied()
	startBus(t, connect(t, embedded), done.execute, nil)
	done.await(t, end, end+18, 0)
	done.await(t, rotHandled, end, int(log.lost))
}

const rotRounds = 4
