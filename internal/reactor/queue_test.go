package reactor

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
)

func open(t *testing.T) *Queue {
	t.Helper()
	q, err := OpenQueue(filepath.Join(t.TempDir(), "q.db"), Full, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q
}

func TestAnOrderHasOneHead(t *testing.T) {
	q := open(t)
	put := func(k string) { require.NoError(t, q.Put(nil, Job{Key: k, Target: "t", Order: "o"})) }
	put("1")
	jobs, _, _ := q.due("t", 10)
	require.NoError(t, q.settle(jobs[0], result{state: Parked, problem: "x"}))
	put("2")
	put("3")
	_, err := q.Retry(Selection{Seqs: []int64{1}})
	require.NoError(t, err)
	_, err = q.Discard(Selection{Seqs: []int64{3}}, "no")
	require.NoError(t, err)
	jobs, _, _ = q.due("t", 10)
	require.Len(t, jobs, 1)
}

func TestADiscardedJobIsNotBegun(t *testing.T) {
	q := open(t)
	require.NoError(t, q.Put(nil, Job{Key: "1", Target: "t", Order: "o"}))
	jobs, _, err := q.due("t", 10) // it is handed out
	require.NoError(t, err)
	_, err = q.Discard(Selection{Seqs: []int64{1}}, "not this one")
	require.NoError(t, err)
	wanted, err := q.begin(jobs[0])
	require.NoError(t, err)
	require.False(t, wanted)
	wanted, err = q.wanted(jobs[0])
	require.NoError(t, err)
	require.False(t, wanted)
}

func TestWhatWasLeftOfAnEarlierTimeHoldsNoMarkBack(t *testing.T) {
	q := open(t)
	require.NoError(t, q.put([]located{{Job{Key: "1", Target: "t", Order: "o"}, events.At(6), events.At(5)}}, events.At(6)))
	require.NoError(t, q.Move(events.At(100))) // away, and resumed at the mark of others
	at, err := q.settled(events.At(100))
	require.NoError(t, err)
	require.Equal(t, events.At(100), at)
	require.NoError(t, q.put([]located{{Job{Key: "2", Target: "t", Order: "o"}, events.At(102), events.At(101)}}, events.At(110)))
	at, err = q.settled(events.At(100))
	require.NoError(t, err)
	require.Equal(t, events.At(101), at)
}

func TestATransactionThatCouldNotBeEndedIsEnded(t *testing.T) {
	q := open(t)
	conn := <-q.turn
	require.NoError(t, sqlitex.ExecuteTransient(conn, "BEGIN IMMEDIATE", nil))
	q.turn <- conn
	require.NoError(t, q.Put(nil, Job{Key: "1", Target: "t", Order: "o"}))
}

func TestAJobThatWasAttemptedSinceItWasReadIsNotBegun(t *testing.T) {
	q := open(t)
	require.NoError(t, q.Put(nil, Job{Key: "1", Target: "t", Order: "o"}))
	jobs, _, err := q.due("t", 10)
	require.NoError(t, err)
	wanted, err := q.begin(jobs[0])
	require.NoError(t, err)
	require.True(t, wanted)
	stale, _, err := q.due("t", 10) // in the middle of the attempt
	require.NoError(t, err)
	require.True(t, stale[0].Interrupted)
	require.NoError(t, q.settle(jobs[0], result{state: Pending, problem: "not now"}))
	wanted, err = q.begin(stale[0])
	require.NoError(t, err)
	require.False(t, wanted, "it is not cut off, and not due")
	wanted, err = q.wanted(stale[0])
	require.NoError(t, err)
	require.False(t, wanted)
}
