package esdbwire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// BenchmarkReadAll compares reading the whole log through the protocol with
// reading it directly, in turns. The client runs in the same process and takes its
// share of the processor.
func BenchmarkReadAll(b *testing.B) {
	const rounds, streamsOf, batches = 5, 50, 500
	log, err := sqlitestore.Open(b.TempDir()+"/log.db", nil)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, log.Close()) })
	fill(b, log, streamsOf, batches/10)
	for s := range streamsOf {
		for i := range 2 {
			put(b, log, fmt.Sprintf("conversation-CH%d", s), 2*batches/10+i*1000, 1000)
		}
	}
	conn, err := grpc.NewClient(serve(b, esdbwire.Config{Log: log}), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, conn.Close()) })
	var ratios, overheads []float64
	for range rounds {
		direct, n := timed(b, func() int { return readDirectly(b, log) })
		wire, m := timed(b, func() int { return readByWire(b, conn) })
		require.Equal(b, n, m)
		ratios = append(ratios, float64(direct)/float64(wire))
		overheads = append(overheads, float64((wire-direct).Nanoseconds())/float64(n)/1000)
	}
	slices.Sort(ratios)
	slices.Sort(overheads)
	fmt.Printf("ratio %.2f: reading the whole log by EventStoreDB's protocol, rate to reading it directly (%.1f us an event more)\n",
		ratios[rounds/2], overheads[rounds/2])
	b.ReportMetric(ratios[rounds/2], "ratio")
}

func timed(b *testing.B, read func() int) (time.Duration, int) {
	b.Helper()
	begun := time.Now()
	n := read()
	return time.Since(begun), n
}

func readDirectly(b *testing.B, log store.LogReader) (n int) {
	for _, err := range log.ReadAll(context.Background(), events.Position{}, store.Filter{}) {
		require.NoError(b, err)
		n++
	}
	return n
}

func readByWire(b *testing.B, conn *grpc.ClientConn) (n int) {
	call, err := streams.NewStreamsClient(conn).Read(context.Background(), &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_All{}, CountOption: &streams.ReadReq_Options_Count{Count: 1 << 40},
	}})
	require.NoError(b, err)
	for {
		if _, err := call.Recv(); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			b.Fatal(err)
		}
		n++
	}
}
