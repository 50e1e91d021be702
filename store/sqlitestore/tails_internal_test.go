package sqlitestore

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/store"
)

// What is left out of a stream's newest events is never what was asked for, and
// what is there is without gaps.
func TestUnindexedLeavesOutOnlyWhatIsBefore(t *testing.T) {
	for name, split := range map[string]int{"all active": 0, "half frozen": 10, "all but one frozen": 19, "all frozen": 20} {
		t.Run(name, func(t *testing.T) {
			ts := &tails{active: newTail(100)}
			var want []uint64 // positions of the stream, from revision 5 on
			for n := range 20 {
				if n == split && split > 0 {
					ts.freeze()
				}
				ts.active.add("other", store.Revision(n))
				ts.active.add("mine", store.Revision(5+n))
				want = append(want, ts.active.upto())
			}
			if split == 20 {
				ts.freeze()
			}
			for from := store.Revision(-1); from < 30; from++ {
				r := ts.unindexed("mine", from)
				require.Equal(t, store.Revision(25), r.end(), "from %d", from)
				require.LessOrEqual(t, r.first, max(from, 5), "from %d", from)
				require.Equal(t, want[r.first-5:], r.positions, "from %d", from)
				if from >= 5 && from < 25 {
					require.Equal(t, from, r.first, "no more than was asked for")
				}
			}
			require.Empty(t, ts.unindexed("nobody's", 0).positions)
			requireNewest(t, ts, want)
		})
	}
}

// requireNewest asks for the newest events before each revision. They end with it where
// they are in memory, whether others are of another part or not.
func requireNewest(t *testing.T, ts *tails, want []uint64) {
	t.Helper()
	for n := 1; n < 25; n++ {
		for upto := store.Revision(-1); upto < 30; upto++ {
			r := ts.newest("mine", upto, n)
			if upto < 5 {
				require.Empty(t, r.positions)
				continue
			}
			require.Equal(t, min(upto, 24)+1, r.end())
			require.NotEmpty(t, r.positions)
			require.LessOrEqual(t, len(r.positions), n)
			require.Equal(t, want[r.first-5:r.end()-5], r.positions)
		}
		require.Empty(t, ts.newest("nobody's", 10, n).positions)
	}
}
