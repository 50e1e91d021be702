package sqlitestore_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
	"github.com/parley-engine/parley/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func harness(options *sqlitestore.Options) storetest.Harness {
	return storetest.Harness{Durable: true, Open: func(t testing.TB, dir string) store.Log {
		s, err := sqlitestore.Open(filepath.Join(dir, "log.db"), options)
		require.NoError(t, err)
		return s
	}}
}

func TestConformance(t *testing.T) { storetest.Run(t, harness(nil)) }

// With tails of seven events every append meets an index that is being written.
func TestConformanceWhileIndexing(t *testing.T) {
	storetest.Run(t, harness(&sqlitestore.Options{TailEvents: 7, Readers: 1}))
}

func TestConformanceWithAClockThatFalls(t *testing.T) {
	clock := func() time.Time { return time.Unix(0, -time.Now().UnixNano()) }
	h := harness(&sqlitestore.Options{Now: clock})
	l := h.Open(t, t.TempDir())
	defer func() { require.NoError(t, l.Close()) }()
	for i := range 10 {
		_, err := l.Append(t.Context(), "conversation-1", store.Revision(i-1), proposed(i))
		require.NoError(t, err)
	}
	storetest.CheckLog(t, l, start)
}

func TestKilledProcessLosesNothing(t *testing.T) { storetest.Crash(t, harness(nil), 6) }

func TestKilledProcessLosesNothingWhileIndexing(t *testing.T) {
	storetest.Crash(t, harness(&sqlitestore.Options{TailEvents: 20}), 6)
}
