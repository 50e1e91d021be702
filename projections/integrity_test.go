package projections_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// manyMessages is a log of a conversation with so many of them, and their SIDs.
func manyMessages(t *testing.T, n int) (log store.Log, head events.Position, sids []string) {
	log, w := memstore.New(), newWorld(1)
	head = w.append(t, log, record{streamOf(created()), []events.Event{created()}})
	for i := range n {
		sid := fmt.Sprintf("IM%032x", 0x1000+i*7919)
		m := message(sid, int64(i), i)
		m.Body = fmt.Sprintf("message number %d", i)
		head = w.append(t, log, record{"conversation-" + ch, []events.Event{m}})
		sids = append(sids, sid)
	}
	return log, head, sids
}

// What a flipped bit does to an index or a page is found by the check of the file or by
// the comparison with the events, and asking for one message never gives another one.
func TestAFlippedBitOfTheReadModelsIsFound(t *testing.T) {
	log, head, sids := manyMessages(t, 300)
	whole := t.TempDir()
	followed(t, whole, log, head)
	generations, err := projections.GenerationsIn(whole)
	require.NoError(t, err)
	original, err := os.ReadFile(filepath.Join(whole, generations.Live))
	require.NoError(t, err)
	found := 0
	for seed := range 80 {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		flipped := append([]byte(nil), original...)
		at := 4096 + random.IntN(len(flipped)-4096) // the first page is not read without its header
		flipped[at] ^= 1 << random.IntN(8)
		dir := t.TempDir()
		require.NoError(t, os.CopyFS(dir, os.DirFS(whole)))
		require.NoError(t, os.WriteFile(filepath.Join(dir, generations.Live), flipped, 0o600))
		told, wrong := lookedAt(t, dir, log, sids)
		require.True(t, told || !wrong, "byte %d, seed %d: a query gave something else, and nothing was found", at, seed)
		if told {
			found++
		}
	}
	require.Greater(t, found, 10)
}

// lookedAt reports whether the damage was told, and whether a query was wrong.
func lookedAt(t *testing.T, dir string, log store.Log, sids []string) (told, wrong bool) {
	q, err := projections.OpenReadOnly(dir)
	if err != nil {
		return true, false
	}
	defer func() { require.NoError(t, q.Close()) }()
	d, err := q.Integrity(t.Context())
	told = err != nil || len(d.Damage) > 0
	d, err = q.Drift(t.Context(), log, ch)
	told = told || err != nil || len(d.Rows) > 0
	for i, sid := range sids {
		m, err := q.Message(t.Context(), service, ch, sid)
		if err != nil {
			wrong = true
			continue
		}
		require.Equal(t, sid, m.Sid, "never another one")
		if m.Body != fmt.Sprintf("message number %d", i) {
			wrong = true
		}
	}
	list, err := q.Messages(t.Context(), service, ch, false, projections.Page{Limit: len(sids)})
	return told, wrong || err != nil || len(list.Items) != len(sids)
}
