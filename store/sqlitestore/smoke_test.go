package sqlitestore

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

func TestSmoke(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	for round := range 3 {
		s, err := Open(path, &Options{TailEvents: 50})
		require.NoError(t, err)
		for i := range 200 {
			stream := fmt.Sprintf("conversation-%d", i%7)
			rev := store.NoStream
			for e, err := range s.ReadStream(context.Background(), stream, store.End, store.Backwards) {
				require.NoError(t, err)
				rev = store.Revision(e.Revision)
				break
			}
			_, err := s.Append(context.Background(), stream, rev, []events.Proposed{{ID: events.NameID(fmt.Sprint(round, i)), Type: "t.v1", Data: []byte(`{}`)}})
			require.NoError(t, err)
		}
		n := 0
		for _, err := range s.ReadAll(context.Background(), events.Position{}, store.Filter{}) {
			require.NoError(t, err)
			n++
		}
		require.Equal(t, 200*(round+1), n)
		n = 0
		for e, err := range s.ReadStream(context.Background(), "conversation-1", 0, store.Forwards) {
			require.NoError(t, err)
			require.EqualValues(t, n, e.Revision)
			n++
		}
		require.Equal(t, 29*(round+1), n)
		require.NoError(t, s.Close())
	}
	r, err := OpenReadOnly(path)
	require.NoError(t, err)
	n := 0
	for e, err := range r.ReadStream(context.Background(), "conversation-1", 0, store.Forwards) {
		require.NoError(t, err)
		require.EqualValues(t, n, e.Revision)
		n++
	}
	require.Equal(t, 87, n)
	require.NoError(t, r.Close())
}
