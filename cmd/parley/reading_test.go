package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// A read that began while the read models were filled, or rebuilt, sees the
// generation that is live in the end and not the one it opened first.
func TestAReadFollowsTheLiveGeneration(t *testing.T) {
	dir := t.TempDir()
	server := serving(t, dir)
	server.stop(t)
	f := folder(dir)
	log, err := sqlitestore.Open(f.log(), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, log.Close()) }()

	empty := folder(t.TempDir())
	models, err := projections.Open(empty.read(), log, nil)
	require.NoError(t, err)
	queries, err := projections.OpenReadOnly(empty.read())
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- models.Run(ctx) }()
	defer func() {
		stop()
		require.NoError(t, <-done)
		require.NoError(t, models.Close())
	}()
	reader, err := sqlitestore.OpenReadOnly(f.log())
	require.NoError(t, err)
	require.NoError(t, empty.announce(endpoints{})) // somebody moves them
	r := &reading{folder: empty, log: reader, queries: queries}
	r.catchUp(t.Context())
	list, err := r.queries.Accounts(t.Context(), projections.Page{})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	require.NoError(t, r.queries.Close())
	require.NoError(t, reader.Close())
}
