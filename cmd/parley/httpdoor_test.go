package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ask makes a request of a running server and returns what came back.
func (p *process) ask(t *testing.T, method, path string, header http.Header) (status int, body string) {
	t.Helper()
	e, err := p.folder.running()
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), method, e.HTTP+path, strings.NewReader("{}"+strings.Repeat(" ", 1000)))
	require.NoError(t, err)
	r.Header = header
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	data, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode, string(data)
}

// figure returns the value of a metric without labels.
func figure(body, name string) string {
	_, rest, _ := strings.Cut(body, "\n"+name+" ")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

func TestHTTPDoorTellsHealthAndFiguresAndHasLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := serving(t, dir, "--log-level", "error")
	status, _ := server.ask(t, http.MethodGet, "/healthz", nil)
	require.Equal(t, http.StatusOK, status)
	status, body := server.ask(t, http.MethodGet, "/readyz", nil)
	require.Equal(t, http.StatusOK, status)
	for _, check := range []string{"running", "log", "bus", "broker", "timers", "projection", "lag"} {
		require.Contains(t, body, `{"name":"`+check+`"}`)
	}
	require.NoError(t, eventually("the read models are at the head", func() (bool, error) {
		status, body = server.ask(t, http.MethodGet, "/metrics", nil)
		head, model := figure(body, "parley_log_position"), figure(body, "parley_projection_position")
		return head != "" && head == model, nil
	}))
	require.Equal(t, http.StatusOK, status)
	for _, metric := range []string{
		"parley_projection_running 1", "parley_projection_lag_seconds 0",
		"parley_timers_filed 0", "parley_timers_backlog 0", "parley_timers_fired_total 0", "parley_timers_failed_total 0",
		`parley_command_seconds_count{command="account.create",result="ok"} 1`, "process_open_fds",
	} {
		require.Contains(t, body, "\n"+metric)
	}

	status, _ = server.ask(t, http.MethodGet, "/healthz", http.Header{"X-Long": {strings.Repeat("x", 64<<10)}})
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, status)
	status, _ = server.ask(t, http.MethodPost, "/admin/projections/main/rebuild", nil)
	require.Equal(t, http.StatusUnauthorized, status)
	token, err := os.ReadFile(filepath.Join(dir, "secrets", "admin-token"))
	require.NoError(t, err)
	bearer := http.Header{"Authorization": {"Bearer " + strings.TrimSpace(string(token))}}
	status, body = server.ask(t, http.MethodPost, "/admin/projections/main/rebuild", bearer)
	require.Equal(t, http.StatusOK, status)
	require.True(t, strings.HasSuffix(body, "{\"done\":true}\n"), body)
	status, body = server.ask(t, http.MethodPost, "/admin/projections/other/rebuild", bearer)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `"error":"not found: there is no projection`)
	status, body = server.ask(t, http.MethodPost, "/admin/projections/main/polish", bearer)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, `{"exit":2}`+"\n"+`{"error":"there is nothing like \"polish\" to do with a projection"}`+"\n", body)
}

// Secrets are for the owner of the folder alone.
func TestSecretsAreReadableByTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	serving(t, dir, "--log-level", "error").stop(t)
	for path, mode := range map[string]os.FileMode{
		"": 0o700, "secrets": 0o700, "bus": 0o700, "read": 0o700,
		"secrets/bus-token": 0o600, "secrets/admin-token": 0o600, "account": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, path))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}
}
