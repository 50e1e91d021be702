package esdbstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/esdbstore"
	"github.com/parley-engine/parley/store/sqlitestore"
	"github.com/parley-engine/parley/store/storetest"
)

const (
	serveFile    = "PARLEY_ESDBSTORE_SERVE"
	serveAddress = "PARLEY_ESDBSTORE_ADDRESS"
)

// serveHere serves a log in a file until it is killed.
func serveHere(file, address string) error {
	log, err := sqlitestore.Open(file, nil)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	if _, err := fmt.Println("serving " + listener.Addr().String()); err != nil {
		return err
	}
	return esdbwire.New(esdbwire.Config{Log: log, Appender: log, WriteOwn: true}).Serve(listener)
}

// database is a server in a process of its own.
type database struct {
	t    *testing.T
	file string
	cmd  *exec.Cmd
}

func (d *database) start(address string) (at string) {
	d.t.Helper()
	d.cmd = exec.Command(os.Args[0])
	d.cmd.Env = append(os.Environ(), serveFile+"="+d.file, serveAddress+"="+address)
	out, err := d.cmd.StdoutPipe()
	require.NoError(d.t, err)
	require.NoError(d.t, d.cmd.Start())
	buffer := make([]byte, 4096)
	text := ""
	for {
		n, err := out.Read(buffer)
		require.NoError(d.t, err, text)
		text += string(buffer[:n])
		if _, rest, found := strings.Cut(text, "serving "); found && strings.Contains(rest, "\n") {
			line, _, _ := strings.Cut(rest, "\n")
			return line
		}
	}
}

func (d *database) signal(s syscall.Signal) { require.NoError(d.t, d.cmd.Process.Signal(s)) }

func (d *database) kill() {
	d.signal(syscall.SIGKILL)
	_ = d.cmd.Wait() // it was killed
}

// free returns an address that nobody listens at.
func free(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

// load appends to streams of its own until it is told to stop, and insists on every
// batch as the engine does: the same again until the outcome is known.
type load struct {
	log   store.Log
	stop  atomic.Bool
	group sync.WaitGroup
	last  []store.Revision
	fails []error
}

func (l *load) start(writers int) {
	l.last, l.fails = make([]store.Revision, writers), make([]error, writers)
	for w := range writers {
		l.group.Go(func() {
			stream := fmt.Sprintf("conversation-%d", w)
			l.last[w] = store.NoStream
			for i := 0; !l.stop.Load(); i++ {
				batch := make([]events.Proposed, 1+i%3)
				for k := range batch {
					batch[k] = events.Proposed{ID: events.EventID(events.NameID(fmt.Sprint(stream, i)), k), Type: "test.happened.v1", Data: []byte(`{}`)}
				}
				at, err := l.insist(stream, l.last[w], batch)
				if err != nil {
					l.fails[w] = err
					return
				}
				l.last[w] = at.Revision
			}
		})
	}
}

func (l *load) insist(stream string, expected store.Revision, batch []events.Proposed) (store.Appended, error) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		at, err := l.log.Append(ctx, stream, expected, batch)
		cancel()
		if err == nil || !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
			return at, err
		}
	}
}

// end waits for the writers and looks at what there is: all of it, once.
func (l *load) end(t *testing.T) (appends int) {
	t.Helper()
	l.stop.Store(true)
	l.group.Wait()
	require.NoError(t, errors.Join(l.fails...))
	for w, last := range l.last {
		n := store.NoStream
		for e, err := range l.log.ReadStream(t.Context(), fmt.Sprintf("conversation-%d", w), 0, store.Forwards) {
			require.NoError(t, err)
			n = store.Revision(e.Revision)
			appends++
		}
		require.Equal(t, last, n)
	}
	storetest.CheckLog(t, l.log, events.Position{})
	return appends
}

// requireBack measures how soon the log is of use again.
func requireBack(t *testing.T, log store.Log, within time.Duration) {
	t.Helper()
	begun := time.Now()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := log.Head(ctx)
		cancel()
		if err == nil {
			break
		}
		require.Less(t, time.Since(begun), within, "%v", err)
	}
	t.Logf("of use again after %s", time.Since(begun).Round(time.Millisecond))
}

// requirePunctual makes calls that cannot succeed; none outlives its context by more
// than a second.
func requirePunctual(t *testing.T, log store.Log) {
	t.Helper()
	var group sync.WaitGroup
	var slowest atomic.Int64
	timed := func(f func(context.Context) error) {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			begun := time.Now()
			if f(ctx) == nil {
				t.Error("it should not have succeeded")
			}
			if took := int64(time.Since(begun)); took > slowest.Load() {
				slowest.Store(took)
			}
		})
	}
	for i := range 10 {
		timed(func(ctx context.Context) error {
			_, err := log.Append(ctx, fmt.Sprint("late-", i), store.NoStream, []events.Proposed{{ID: events.NameID(fmt.Sprint("late", i)), Type: "a.b.v1", Data: []byte("{}")}})
			return err
		})
		timed(func(ctx context.Context) error { _, err := log.Head(ctx); return err })
		timed(func(ctx context.Context) error { _, err := log.Wait(ctx, events.At(1<<40)); return err })
		timed(func(ctx context.Context) error {
			for _, err := range log.ReadStream(ctx, "conversation-0", 0, store.Forwards) {
				return err
			}
			return nil
		})
	}
	group.Wait()
	require.Less(t, time.Duration(slowest.Load()), 1200*time.Millisecond)
}

// follow checks that a subscription sees everything once, in order, over all
// troubles.
func follow(t *testing.T, log store.Log) (stop func(want int)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var seen atomic.Int64
	go func() {
		defer close(done)
		next := map[string]uint64{}
		for batch, err := range store.Subscribe(ctx, store.Patient(log, nil), events.Position{}, store.Filter{StreamPrefixes: []string{"conversation-"}}) {
			if err != nil {
				if ctx.Err() == nil {
					t.Error(err)
				}
				break
			}
			for _, e := range batch.Events {
				if e.Revision != next[e.Stream] {
					t.Errorf("%s: %d in place of %d", e.Stream, e.Revision, next[e.Stream])
				}
				next[e.Stream] = e.Revision + 1
				seen.Add(1)
			}
		}
	}()
	return func(want int) {
		defer func() { cancel(); <-done }()
		require.Eventually(t, func() bool { return int(seen.Load()) == want }, 10*time.Second, 10*time.Millisecond, "%d events", want)
		t.Logf("%d events written and followed", want)
	}
}

// A server that is killed in the middle of appends, started again, moved to another
// port and frozen loses nothing that was acknowledged, and nothing is there twice.
func TestAServerThatComesAndGoes(t *testing.T) {
	d := &database{t: t, file: filepath.Join(t.TempDir(), "log.db")}
	one, two := free(t), free(t)
	d.start(one)
	t.Cleanup(func() { d.kill() })
	log, err := esdbstore.Open(t.Context(), "esdb://"+one+","+two+"?tls=false", nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	stop := follow(t, log)
	l := &load{log: log}
	l.start(8)
	for round, address := range []string{one, one, two, one} {
		before, err := log.Head(t.Context())
		require.NoError(t, err)
		_, err = log.Wait(t.Context(), events.At(before.Commit+300)) // there is load
		require.NoError(t, err)
		d.kill()
		if round == 0 {
			requirePunctual(t, log)
		}
		d.start(address)
		requireBack(t, log, 5*time.Second)
	}
	frozen := 30 * time.Second
	if testing.Short() {
		frozen = 3 * time.Second
	}
	d.signal(syscall.SIGSTOP)
	woken := make(chan struct{})
	time.AfterFunc(frozen, func() { d.signal(syscall.SIGCONT); close(woken) })
	requirePunctual(t, log)
	<-woken
	requireBack(t, log, 5*time.Second)
	stop(l.end(t))
}

// Connections that break all the time, in both directions and in the middle of
// messages, lose nothing and repeat nothing.
func TestConnectionsThatBreak(t *testing.T) {
	behind := overSQLite(t, t.TempDir())
	url, end := serve(t, behind)
	t.Cleanup(func() { end(); require.NoError(t, behind.Close()) })
	target := strings.TrimSuffix(strings.TrimPrefix(url, "esdb://"), "?tls=false")
	proxy, cut := breaking(t, target, 0)
	log, err := esdbstore.Open(t.Context(), "esdb://"+proxy+"?tls=false", nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	stop := follow(t, log)
	l := &load{log: log}
	l.start(8)
	cuts := time.NewTicker(40 * time.Millisecond)
	defer cuts.Stop()
	for range 50 {
		<-cuts.C
		cut()
	}
	stop(l.end(t))
}

// A server that is slow, 300 ms for a question and its answer and little at a
// time, is waited for, and whoever has no time for it is not held.
func TestASlowServer(t *testing.T) {
	behind := overSQLite(t, t.TempDir())
	url, end := serve(t, behind)
	t.Cleanup(func() { end(); require.NoError(t, behind.Close()) })
	proxy, _ := breaking(t, strings.TrimSuffix(strings.TrimPrefix(url, "esdb://"), "?tls=false"), 150*time.Millisecond)
	log, err := esdbstore.Open(t.Context(), "esdb://"+proxy+"?tls=false", nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	stop := follow(t, log)
	l := &load{log: log}
	l.start(3)
	_, err = log.Wait(t.Context(), events.At(12))
	require.NoError(t, err)
	requirePunctual(t, log)
	stop(l.end(t))
}

// slowly copies a little at a time, and each of it after a while.
func slowly(out io.Writer, in io.Reader, pace time.Duration) {
	b := make([]byte, 16<<10)
	for {
		n, err := in.Read(b)
		<-time.After(pace)
		if _, failed := out.Write(b[:n]); err != nil || failed != nil {
			return
		}
	}
}

// breaking is a way to an address that breaks when it is told to; pace is what it takes
// for anything to get through.
func breaking(t *testing.T, target string, pace time.Duration) (address string, cut func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var mu sync.Mutex
	var open []net.Conn
	var copies sync.WaitGroup
	keep := func(c net.Conn) { mu.Lock(); defer mu.Unlock(); open = append(open, c) }
	cut = func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			_ = c.Close() // perhaps for the second time
		}
		open = nil
	}
	copies.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			keep(in)
			keep(out)
			copies.Go(func() { slowly(out, in, pace); _ = out.Close() })
			copies.Go(func() { slowly(in, out, pace); _ = in.Close() })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); cut(); copies.Wait() })
	return listener.Addr().String(), cut
}

func TestWhatIsWrongIsSaidAtOnce(t *testing.T) {
	url, end := serve(t, overMemory(t, ""))
	t.Cleanup(end)
	for name, row := range map[string]struct {
		url, says string
		o         *esdbstore.Options
	}{
		"no url":            {"db.example.com", "not a URL", nil},
		"a fragment":        {"esdb://db.example.com#x", "not a URL", nil},
		"another scheme":    {"http://db.example.com", "none of esdb", nil},
		"unknown setting":   {url + "&tlsVerifyCerts=false", "unknown setting", nil},
		"nobody there":      {"esdb://" + free(t) + "?tls=false", "connection refused", nil},
		"no TLS there":      {strings.TrimSuffix(url, "?tls=false"), "tls: ", nil},
		"a clear password":  {strings.Replace(url, "esdb://", "esdb://a:b@", 1), "clear text", nil},
		"a system's prefix": {url, "beginning with $", &esdbstore.Options{Prefix: "$x"}},
		"a follower":        {url + "&nodePreference=follower", "at the leader", nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := esdbstore.Open(t.Context(), row.url, row.o)
			require.ErrorContains(t, err, row.says)
		})
	}
}

// Streams of others in the same database are neither read nor in the way.
func TestStreamsOfOthersAreLeftAlone(t *testing.T) {
	behind := overMemory(t, "")
	url, end := serve(t, behind)
	t.Cleanup(end)
	put := func(log store.Log, stream, id string) {
		_, err := log.Append(t.Context(), stream, store.NoStream, []events.Proposed{{ID: events.NameID(id), Type: "a.b.v1", Data: []byte("{}")}})
		require.NoError(t, err)
	}
	ours, err := esdbstore.Open(t.Context(), url, &esdbstore.Options{Prefix: "parley.", Categories: events.Categories()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ours.Close()) })
	put(behind, "conversation-1", "theirs")
	put(behind, "parley.order-1", "of a category that is not ours")
	head, err := ours.Head(t.Context())
	require.NoError(t, err)
	require.Zero(t, head)
	put(ours, "conversation-1", "ours")
	var seen []string
	for e, err := range ours.ReadAll(t.Context(), events.Position{}, store.Filter{}) {
		require.NoError(t, err)
		seen = append(seen, e.Stream+" "+e.ID.String())
	}
	require.Equal(t, []string{"conversation-1 " + events.NameID("ours").String()}, seen)
}

// Whoever waits is not woken by what others write.
func TestOthersWakeNobody(t *testing.T) {
	behind := overMemory(t, "")
	url, end := serve(t, behind)
	t.Cleanup(end)
	ours, err := esdbstore.Open(t.Context(), url, &esdbstore.Options{Prefix: "parley."})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ours.Close()) })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	woken := make(chan error, 1)
	go func() { _, err := ours.Wait(ctx, events.Position{}); woken <- err }()
	for i := range 3000 { // the database tells after a thousand how far it is
		_, err := behind.Append(t.Context(), "order-1", store.Revision(i-1), []events.Proposed{{ID: events.NameID(fmt.Sprint(i)), Type: "a.b.v1", Data: []byte("{}")}})
		require.NoError(t, err)
	}
	require.ErrorIs(t, <-woken, context.DeadlineExceeded)
}

// A batch that was written before is marked, whoever wrote it.
func TestWhoWroteABatchIsKnown(t *testing.T) {
	url, end := serve(t, overMemory(t, ""))
	t.Cleanup(end)
	var logs []store.Log
	for range 2 {
		log, err := esdbstore.Open(t.Context(), url, nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, log.Close()) })
		logs = append(logs, log)
	}
	for i := range 100 {
		batch := []events.Proposed{{ID: events.NameID(fmt.Sprint(i)), Type: "a.b.v1", Data: []byte("{}")}}
		outcomes := make([]store.Appended, 8)
		var group sync.WaitGroup
		for w := range outcomes {
			group.Go(func() {
				var err error
				outcomes[w], err = logs[w%2].Append(t.Context(), fmt.Sprint("s-", i), store.NoStream, batch)
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		first := 0
		for _, o := range outcomes {
			if !o.Repeated {
				first++
			}
		}
		require.Equal(t, 1, first)
	}
}
