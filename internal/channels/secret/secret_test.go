package secret_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/channels/secret"
)

func TestTheNewlineAtTheEndIsNoPartOfASecret(t *testing.T) {
	for _, content := range []string{"hush", "hush\n", "hush\r\n", "hush\n\n"} {
		got, err := secret.Read(write(t, content))
		require.NoError(t, err)
		require.Equal(t, "hush", got)
	}
	got, err := secret.Read(write(t, " hu sh "))
	require.NoError(t, err)
	require.Equal(t, " hu sh ", got, "spaces are meant")
}

func TestWhatIsNoSecretIsRefusedWithoutBeingRepeated(t *testing.T) {
	for content, why := range map[string]string{
		"": "is empty", "\n": "is empty", "hush\nhush2": "more than one line", strings.Repeat("hush", 20_000): "longer than",
	} {
		_, err := secret.Read(write(t, content))
		require.ErrorContains(t, err, why)
		require.NotContains(t, err.Error(), "hush")
	}
	_, err := secret.Read(filepath.Join(t.TempDir(), "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}
