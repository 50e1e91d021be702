package collector_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/collector"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store/memstore"
)

// What is cleared away is tested over HTTP, in the room of that; this is about when.
func TestItCollectsAtOnceAndThenEveryMinuteWhateverGoesWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		models, err := projections.Open(t.TempDir(), memstore.New(), nil)
		require.NoError(t, err)
		began := time.Now()
		var swept []time.Duration
		c := collector.New(collector.Config{Models: models.Queries, Sweep: func(_ context.Context, olderThan time.Time, _ func(context.Context, string) (bool, error)) error {
			require.Equal(t, 15*time.Minute, time.Since(olderThan))
			swept = append(swept, time.Since(began))
			return errors.New("the disk is away")
		}})
		ctx, stop := context.WithTimeout(t.Context(), 150*time.Second)
		defer stop()
		require.NoError(t, c.Run(ctx))
		require.Equal(t, []time.Duration{0, time.Minute, 2 * time.Minute}, swept)
		require.Equal(t, 150*time.Second, time.Since(began))
		require.NoError(t, models.Close())
	})
}
