package bus_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

const rotEvents = 500

// rotEventFolder is a stopped broker's folder with published events, and a consumer
// of somebody's.
func rotEventFolder(t *testing.T, log store.Log) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bus")
	server := startBroker(t, dir)
	nc := connect(t, server)
	for i := range 5 {
		appendEvents(t, log, fmt.Sprintf("conversation-CH%d", i), store.NoStream, rotEvents/5)
	}
	p, stop := startEvents(t, nc, log, nil)
	requirePublished(t, p, log)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	consumer, err := js.CreateConsumer(within(t, soon), bus.StreamEvents, jetstream.ConsumerConfig{Durable: "theirs", AckPolicy: jetstream.AckExplicitPolicy})
	require.NoError(t, err)
	batch, err := consumer.Fetch(rotEvents / 2)
	require.NoError(t, err)
	for m := range batch.Messages() {
		require.NoError(t, m.DoubleAck(within(t, soon)))
	}
	stop()
	nc.Close()
	server.Stop()
	return dir
}

// requireEventsAgain starts on a folder that was hurt: the stream has every event in the
// end, those of an aggregate in their order.
func requireEventsAgain(t *testing.T, dir string, log store.Log) {
	t.Helper()
	server := startBroker(t, dir)
	defer server.Stop()
	nc := connect(t, server)
	defer nc.Close()
	p, stop := startEvents(t, nc, log, &bus.EventOptions{Rewind: server.Republish()})
	requirePublished(t, p, log)
	stop()
	require.False(t, server.Republish().Wanted())
	next := map[string]int{}
	for _, m := range published(t, nc) {
		subject := m.Headers().Get("ce-subject")
		var revision int
		_, err := fmt.Sscanf(m.Headers().Get("ce-sequence"), "%d", &revision)
		require.NoError(t, err)
		require.LessOrEqual(t, revision, next[subject], "a gap in %s", subject)
		next[subject] = max(next[subject], revision+1)
	}
	require.Len(t, next, 5)
	for subject, n := range next {
		require.Equal(t, rotEvents/5, n, subject)
	}
}

// Events are in the log: whatever happens to their stream, it has them again, and the
// broker takes no more memory than it should.
func TestRotOfPublishedEventsIsMadeGoodFromTheLog(t *testing.T) {
	log := memstore.New()
	from := rotEventFolder(t, log)
	const stream = "jetstream/*/streams/" + bus.StreamEvents
	copied := func(t *testing.T) string {
		dir := filepath.Join(t.TempDir(), "bus")
		require.NoError(t, os.CopyFS(dir, os.DirFS(from)))
		return dir
	}
	t.Run("a sequence that is far too high", func(t *testing.T) {
		for _, byteOfSequence := range []int64{4, 5, 6, 7} { // unseen, it takes 64 GB and more
			dir := copied(t)
			paths, err := filepath.Glob(filepath.Join(dir, stream, "msgs", "1.blk"))
			require.NoError(t, err)
			require.Len(t, paths, 1)
			content, err := os.ReadFile(paths[0])
			require.NoError(t, err)
			second := int64(binary.LittleEndian.Uint32(content) &^ (1 << 31))
			content[second+4+byteOfSequence] = 1
			require.NoError(t, os.WriteFile(paths[0], content, 0o600))
			requireEventsAgain(t, dir, log)
		}
	})
	for name, glob := range map[string]string{
		"blocks": stream + "/msgs/*.blk", "index": stream + "/msgs/index.db", "description": stream + "/meta.*",
		"consumer's state": stream + "/obs/*/o.dat", "checkpoint": "jetstream/*/streams/KV_PARLEY_CHECKPOINTS/msgs/*.blk",
		"checkpoint's description": "jetstream/*/streams/KV_PARLEY_CHECKPOINTS/meta.*",
	} {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			random := rand.New(rand.NewPCG(seed, 0))
			for range rotRounds {
				dir := copied(t)
				t.Logf("seed %d: %s", seed, hurt(t, random, dir, glob))
				requireEventsAgain(t, dir, log)
			}
		})
	}
}
