package export_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/export"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// BenchmarkExport compares an export with reading the log and decoding its payloads.
func BenchmarkExport(b *testing.B) {
	log, err := sqlitestore.Open(b.TempDir()+"/log.db", nil)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, log.Close()) })
	const streams, perStream = 1000, 100
	now := time.Now()
	for s := range streams {
		batch := make([]events.Proposed, perStream)
		for i := range batch {
			kind, data, err := events.Vocabulary().Encode(events.MessageAdded{
				Message: fmt.Sprintf("IM%032d", i), Author: "ada", Body: "hello, how are you today", Index: int64(i), At: now, DateCreated: now, DateUpdated: now,
			})
			require.NoError(b, err)
			m := events.Metadata{Occurred: now, Account: "AC1", Service: fmt.Sprintf("IS%032x", s%3), Command: "conversation.add-message", CommandID: events.NameID(fmt.Sprint(s, i))}
			batch[i] = events.Proposed{ID: events.NameID(fmt.Sprint(s, " ", i)), Type: kind, Data: data, Metadata: m}
		}
		_, err := log.Append(b.Context(), fmt.Sprintf("conversation-CH%032x", s), store.NoStream, batch)
		require.NoError(b, err)
	}
	for _, format := range []export.Format{export.Parquet, export.JSONL, export.CSV} {
		b.Run(string(format), func(b *testing.B) {
			var alone, exported time.Duration
			for range b.N {
				begun := time.Now()
				for e, err := range log.ReadAll(b.Context(), events.Position{}, store.Filter{}) {
					require.NoError(b, err)
					_, err := events.Vocabulary().Decode(e.Type, e.Data)
					require.NoError(b, err)
				}
				alone += time.Since(begun)
				begun = time.Now()
				_, err := export.Run(b.Context(), log, export.Options{Format: format, Dir: b.TempDir()})
				require.NoError(b, err)
				exported += time.Since(begun)
			}
			fmt.Printf("ratio %.2f target >= 0.50: export as %s, rate to decoding the log (%.0f events/s)\n",
				float64(alone)/float64(exported), format, float64(b.N*streams*perStream)/exported.Seconds())
		})
	}
}
