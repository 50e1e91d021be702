package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// operation is one call on one stream and what came of it. A read has no batch.
type operation struct {
	stream   string
	expected store.Revision
	batch    []events.ID
}

type answer struct {
	ok       bool           // appended
	unknown  bool           // cancelled: it may or may not have happened
	revision store.Revision // last of the batch, or the actual one of a conflict
	content  []events.ID    // of a read
}

// linearModel is one stream: a list of ids.
var linearModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[string][]porcupine.Operation{}
		for _, o := range history {
			stream := o.Input.(operation).stream
			parts[stream] = append(parts[stream], o)
		}
		var list [][]porcupine.Operation
		for _, part := range parts {
			list = append(list, part)
		}
		return list
	},
	Init:  func() any { return []events.ID(nil) },
	Equal: func(a, b any) bool { return slices.Equal(a.([]events.ID), b.([]events.ID)) },
	Step: func(state, input, output any) (bool, any) {
		return stepStream(state.([]events.ID), input.(operation), output.(answer))
	},
}

func stepStream(state []events.ID, in operation, out answer) (bool, any) {
	if in.batch == nil {
		return slices.Equal(state, out.content), state
	}
	m := model{expect: map[string][]events.ID{"": slices.Clip(state)}}
	revision, ok := m.append("", in.expected, in.batch)
	if out.unknown {
		return true, m.expect[""]
	}
	return ok == out.ok && revision == out.revision, m.expect[""]
}

// testLinearizable lets clients append, repeat, cancel and read at random and
// asks porcupine whether some order of the calls explains every answer.
func testLinearizable(t *testing.T, h Harness) {
	const clients, calls, streams = 6, 60, 3
	l := openLog(t, h)
	started := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	concurrently(clients, func(client int) {
		random := rand.New(rand.NewPCG(uint64(client), 7))
		guess := map[string]store.Revision{}
		for i := range calls {
			in := l.randomCall(random, streams, guess, fmt.Sprintf("%d %d", client, i/2))
			call := time.Since(started)
			out := l.perform(t.Context(), in, random.IntN(10) == 0)
			returned := time.Since(started)
			if out.unknown {
				returned = time.Hour // it may still take effect at any time
			} else {
				guess[in.stream] = max(out.revision, store.Revision(len(out.content))-1)
			}
			mu.Lock()
			history = append(history, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(call), Return: int64(returned)})
			mu.Unlock()
		}
	})
	require.Len(t, history, clients*calls)
	result := porcupine.CheckOperationsTimeout(linearModel, history, time.Minute)
	require.Equal(t, porcupine.Ok, result)
}

func (l *log) randomCall(random *rand.Rand, streams int, guess map[string]store.Revision, key string) operation {
	stream := l.stream(random.IntN(streams))
	if random.IntN(3) == 0 {
		return operation{stream: stream}
	}
	expected, known := guess[stream]
	if !known {
		expected = store.NoStream
	}
	return operation{stream: stream, expected: expected, batch: proposedIDs(l.batch(key, 1+random.IntN(2)))}
}

func (l *log) perform(ctx context.Context, in operation, cancelled bool) answer {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if in.batch == nil {
		return l.performRead(ctx, in)
	}
	if cancelled {
		go cancel()
	}
	batch := make([]events.Proposed, len(in.batch))
	for i, id := range in.batch {
		batch[i] = events.Proposed{ID: id, Type: "test.happened.v1", Data: []byte("{}")}
	}
	appended, err := l.Append(ctx, in.stream, in.expected, batch)
	var conflict *store.ConflictError
	switch {
	case err == nil:
		return answer{ok: true, revision: appended.Revision}
	case errors.As(err, &conflict):
		return answer{revision: conflict.Actual}
	}
	return answer{unknown: true}
}

func (l *log) performRead(ctx context.Context, in operation) answer {
	var content []events.ID
	for e, err := range l.ReadStream(ctx, in.stream, 0, store.Forwards) {
		if err != nil {
			return answer{unknown: true, revision: store.NoStream}
		}
		content = append(content, e.ID)
	}
	return answer{revision: store.NoStream, content: content}
}
