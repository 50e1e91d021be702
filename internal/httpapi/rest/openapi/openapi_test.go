package openapi_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/parley-engine/parley/internal/httpapi/rest"
	"github.com/parley-engine/parley/internal/httpapi/rest/openapi"
)

func TestTheDocumentIsUpToDateAndHasEveryOperation(t *testing.T) {
	data, err := openapi.Render()
	require.NoError(t, err)
	kept, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "openapi.yaml"))
	require.NoError(t, err)
	require.Equal(t, string(kept), string(data), "run go run ./internal/generate")

	var document struct {
		Paths map[string]map[string]any `yaml:"paths"`
	}
	require.NoError(t, yaml.Unmarshal(data, &document))
	twilio := 0
	for _, o := range rest.Describe() {
		require.Contains(t, document.Paths, o.Path)
		if !o.Own {
			twilio++
		}
	}
	require.Equal(t, 103, twilio, "operations of Twilio Conversations v1")
}

func TestEveryOperationHasANameOfItsOwn(t *testing.T) {
	seen := map[string]string{}
	for _, o := range rest.Describe() {
		require.Empty(t, seen[o.Name], "%s %s", o.Name, o.Path)
		seen[o.Name] = o.Path
	}
}
