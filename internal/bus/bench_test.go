package bus_test

import (
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-engine/parley/internal/bus/bustest"
	"github.com/parley-engine/parley/internal/engine"
)

// serveVariable makes this binary the serving process of a benchmark.
const serveVariable = "PARLEY_BENCH_SERVE" // lazy or always

func TestMain(m *testing.M) {
	if sync := os.Getenv(serveVariable); sync != "" {
		os.Exit(serve(sync))
	}
	goleak.VerifyTestMain(m)
}

func serve(sync string) int {
	dir, err := os.MkdirTemp("", "parley-bench")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder
	stop, err := profile()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	interval := time.Duration(0)
	if sync == "lazy" {
		interval = time.Minute
	}
	if err := bustest.Serve(dir, interval, accept, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// profile writes the serving process's CPU profile to $PARLEY_BENCH_PROFILE.
func profile() (stop func(), err error) {
	path := os.Getenv("PARLEY_BENCH_PROFILE")
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, pprof.StartCPUProfile(f)
}

// message is a command of about 300 bytes.
func message(caller int) engine.Command {
	return engine.Command{
		Type: "conversation.add-message", Aggregate: fmt.Sprintf("CH%032x", caller),
		Body: []byte(`{"author":"ann","body":"` + strings.Repeat("hello ", 45) + `"}`),
	}
}

func BenchmarkBusCall(b *testing.B) {
	c := bustest.NewCaller(b, bustest.Start(b, serveVariable, "lazy"))
	bustest.Compare(b, c.Call(message), c.BareCall(message))
}

func BenchmarkBusSendLazy(b *testing.B) {
	c := bustest.NewCaller(b, bustest.Start(b, serveVariable, "lazy"))
	bustest.Compare(b, c.Send(message), c.BareSend(message))
}

func BenchmarkBusSendAlways(b *testing.B) {
	c := bustest.NewCaller(b, bustest.Start(b, serveVariable, "always"))
	bustest.Compare(b, c.Send(message), c.BareSend(message))
}
