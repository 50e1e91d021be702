package main

import (
	"context"
	"fmt"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

// verify folds a fixture's history as the engine and the read models do, and returns
// what comes out differently.
func (f *fixture) verify(ctx context.Context) ([]difference, error) {
	state := conversation.State{}
	for i, e := range f.Events {
		event, err := events.Vocabulary().Decode(e.Type, e.Data)
		if err != nil {
			return nil, fmt.Errorf("event %d of the fixture: %w", i, err)
		}
		if state, err = evolve(state, event); err != nil {
			return nil, fmt.Errorf("event %d of the fixture: %w", i, err)
		}
	}
	now, err := f.fold(ctx)
	if err != nil {
		return nil, err
	}
	return compareAll(thingsIn(f.Expect), thingsIn(now)), nil
}

// evolve is the domain's; an event that is none of a conversation's is an error here.
func evolve(s conversation.State, e events.Event) (after conversation.State, err error) {
	defer func() {
		if why := recover(); why != nil {
			err = fmt.Errorf("%s: %v", e.EventType(), why)
		}
	}()
	return conversation.Evolve(s, e), nil
}

func thingsIn(rows []fixtureRow) (list []thing) {
	for _, r := range rows {
		t := thing{kind: r.Kind, sid: r.Sid, values: r.Values}
		if row, known := rowsByKind[r.Kind]; known {
			t.fields = fieldsOf(row)
		}
		list = append(list, t)
	}
	return list
}
