package projections_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/projections"
)

// A file that cannot be furnished, as on a full disk, is an error and no crash.
func TestAGenerationThatCannotBeMadeIsAnError(t *testing.T) {
	for _, bulk := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "g.db")
		require.NoError(t, projections.NewGeneration(path, bulk))
		require.ErrorContains(t, projections.NewGeneration(path, bulk), "already exists")
		require.Error(t, projections.NewGeneration(filepath.Join(path, "within"), bulk))
	}
}
