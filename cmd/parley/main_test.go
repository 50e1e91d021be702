package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this test program be parley when it is started by that name,
// so that the scripts and the tests run the real thing in its own process.
func TestMain(m *testing.M) {
	if err := os.Setenv("GORACE", raceSetting); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"parley": main})
}

// raceSetting keeps each of the hundreds of processes from waiting a second at
// its end under the race detector.
const raceSetting = "atexit_sleep_ms=10"

// TestScripts runs the scripts in testdata/script. Each has a data folder of its
// own in PARLEY_DATA, and these commands besides those of testscript:
//
//	serve [flags]            start a server on the folder and wait until it is ready
//	stopserver               end it with SIGTERM; it must exit with 0
//	killserver               end it with SIGKILL
//	exits CODE program ...   run a program that must exit with the code
//	until REGEXP program ... run a program until it succeeds and prints a match
//	untilexits CODE program ... run a program until it exits with the code
//	keep NAME REGEXP         put the group of the match in the last stdout into $NAME
//	natspub SUBJECT FILE     store the file's bytes as a durable command
//	occupy NAME              listen on a port and put its address into $NAME
//	cut FILE SIZE            shorten a file
//	zero GLOB FROM COUNT     write zeros into files; a count of -1 is to the end
//	untilmetric REGEXP       wait until the server's metrics match
//	alter GLOB SQL           change databases
//	append STREAM TYPE DATA  write an event that no command led to
//	freeport NAME            put an address into $NAME that nobody listens on
//	untillistens ADDRESS     wait until somebody listens on the address
//	hooked STATUS USER SECRET PATH FORM  POST a form that webhooks hear of
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			s := &scripted{}
			e.Values[scriptedKey{}] = s
			e.Setenv("GORACE", raceSetting)
			e.Setenv("PARLEY_DATA", filepath.Join(e.WorkDir, "data"))
			e.Defer(s.clearUp)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": scriptServe, "stopserver": scriptStop, "killserver": scriptKill,
			"exits": scriptExits, "until": scriptUntil, "untilexits": scriptUntilExits, "keep": scriptKeep,
			"natspub": scriptPublish, "occupy": scriptOccupy, "cut": scriptCut, "zero": scriptZero, "alter": scriptAlter, "untilmetric": scriptUntilMetric, "append": scriptAppend,
			"rest": scriptREST, "report": scriptReport, "hooked": scriptHooked, "freeport": scriptFreePort, "untillistens": scriptUntilListens, "keepfile": scriptKeepFile, "certificate": scriptCertificate,
		},
	})
}

// scripted is what a script has running.
type scripted struct {
	server    *process
	listeners []net.Listener
}

type scriptedKey struct{}

func (s *scripted) clearUp() {
	if s.server != nil {
		_, _ = s.server.end(os.Kill) // the script is over, one way or the other
	}
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

func of(ts *testscript.TestScript) *scripted { return ts.Value(scriptedKey{}).(*scripted) }

// need stops a script that uses a command in a way it does not have.
func need(ts *testscript.TestScript, neg, ok bool, usage string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

func dataOf(ts *testscript.TestScript) folder { return folder(ts.Getenv("PARLEY_DATA")) }

func scriptServe(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	need(ts, neg, s.server == nil, "serve [flags], one at a time")
	server, err := startProcess(string(dataOf(ts)), []string{"GORACE=" + raceSetting}, args...)
	s.server = server
	ts.Check(err)
}

func scriptStop(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 0, "stopserver")
	if code := endServer(ts, syscall.SIGTERM); code != exitOK {
		ts.Fatalf("the server exited with %d", code)
	}
}

func scriptKill(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 0, "killserver")
	endServer(ts, os.Kill)
}

func endServer(ts *testscript.TestScript, signal os.Signal) int {
	s := of(ts)
	if s.server == nil {
		ts.Fatalf("no server was started")
	}
	code, err := s.server.end(signal)
	ts.Check(err)
	_, _ = ts.Stdout().Write(s.server.out.Bytes()) // a buffer
	_, _ = ts.Stderr().Write(s.server.errOut.Bytes())
	s.server = nil
	return code
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) >= 2, "exits CODE program ...")
	if got := codeOf(ts, args[1:]); strconv.Itoa(got) != args[0] {
		ts.Fatalf("%s exited with %d, not %s", args[1], got, args[0])
	}
}

func codeOf(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // Exec wraps nothing
		return exit.ExitCode()
	}
	ts.Check(err)
	return exitOK
}

func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) >= 2, "until REGEXP program ...")
	wanted, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	ts.Check(eventually("a match of "+args[0], func() (bool, error) {
		return codeOf(ts, args[1:]) == exitOK && wanted.MatchString(ts.ReadFile("stdout")), nil
	}))
}

func scriptUntilExits(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) >= 2, "untilexits CODE program ...")
	ts.Check(eventually("exit "+args[0], func() (bool, error) {
		return strconv.Itoa(codeOf(ts, args[1:])) == args[0], nil
	}))
}

func scriptKeep(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "keep NAME REGEXP")
	found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("no match with one group of %s", args[1])
	}
	ts.Setenv(args[0], found[1])
}

func scriptPublish(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "natspub SUBJECT FILE")
	ts.Check(withConn(dataOf(ts), func(nc *nats.Conn) error {
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		_, err = js.Publish(context.Background(), args[0], []byte(ts.ReadFile(args[1])))
		return err
	}))
}

func scriptOccupy(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 1, "occupy NAME")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	s := of(ts)
	s.listeners = append(s.listeners, l)
	ts.Setenv(args[0], l.Addr().String())
}

func scriptCut(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "cut FILE SIZE")
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), size))
}

func scriptZero(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 3, "zero GLOB FROM COUNT")
	paths, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	from, err := strconv.Atoi(args[1])
	ts.Check(err)
	count, err := strconv.Atoi(args[2])
	ts.Check(err)
	for _, path := range paths {
		ts.Check(zero(path, from, count))
	}
	need(ts, neg, len(paths) > 0, "zero GLOB FROM COUNT, of files that are there")
}

func zero(path string, from, count int) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if count < 0 {
		count = len(data) - from
	}
	clear(data[from : from+count])
	return os.WriteFile(path, data, 0o600)
}
