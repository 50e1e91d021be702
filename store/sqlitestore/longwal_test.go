package sqlitestore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// Readers that follow each other without a pause, and a writer who is faster than the
// checkpoints beside it: the write-ahead log begins again all the same.
func TestTheWriteAheadLogStaysShortUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("it writes 100 MiB")
	}
	path := filepath.Join(t.TempDir(), "log.db")
	s, err := sqlitestore.Open(path, &sqlitestore.Options{Readers: 8})
	require.NoError(t, err)
	var ended atomic.Bool
	var readers, writers sync.WaitGroup
	for i := range 8 {
		readers.Go(func() {
			for n := 0; !ended.Load(); n++ {
				for _, err := range s.ReadStream(context.Background(), fmt.Sprintf("conversation-%d", (n+i)%4), 0, store.Forwards) {
					if err != nil || ended.Load() {
						break
					}
				}
			}
		})
	}
	var longest atomic.Int64
	data := []byte(`{"x":"` + strings.Repeat("x", 64<<10) + `"}`)
	for w := range 4 {
		writers.Go(func() {
			for i := range 400 {
				id := events.NameID(fmt.Sprint(w, " ", i))
				_, err := s.Append(context.Background(), fmt.Sprintf("conversation-%d", w), store.Revision(i-1), []events.Proposed{{ID: id, Type: "test.happened.v1", Data: data}})
				if err != nil {
					t.Error(err)
					return
				}
				if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > longest.Load() {
					longest.Store(info.Size())
				}
			}
		})
	}
	writers.Wait()
	ended.Store(true)
	readers.Wait()
	require.NoError(t, s.Close())
	require.Less(t, longest.Load(), int64(64<<20))
	t.Logf("%d MiB", longest.Load()>>20)
}
