package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/parley-engine/parley/events"
)

// What a server measures, what the docs say it does, and what alerts and dashboard ask
// for are the same; and each alert has its page.
func TestMetricsAlertsAndDocsAgree(t *testing.T) {
	t.Parallel()
	server := serving(t, filepath.Join(t.TempDir(), "data"), "--log-level", "error")
	t.Cleanup(func() { server.stop(t) })
	var body string
	require.NoError(t, eventually("everything is measured", func() (bool, error) {
		_, body = server.ask(t, http.MethodGet, "/metrics", nil)
		return strings.Contains(body, "parley_dead_letters 0") && strings.Contains(body, "parley_events_stalled_seconds 0") &&
			strings.Contains(body, "parley_bus_lanes"), nil
	}))
	measured := unique(regexp.MustCompile(`(?m)^# TYPE (parley_\w+)`), body)
	docs := read(t, "../../docs/operations.md")
	require.Equal(t, measured, unique(regexp.MustCompile("`(parley_\\w+)`"), docs[strings.Index(docs, "### Metrics"):strings.Index(docs, "How long something stands still")]))

	alerts := parsedAlerts(t)
	headings := unique(regexp.MustCompile(`(?m)^#+ (.+)$`), docs)
	for i := range headings {
		headings[i] = strings.ReplaceAll(strings.ToLower(strings.ReplaceAll(headings[i], ",", "")), " ", "-")
	}
	require.NotEmpty(t, alerts)
	for _, a := range alerts {
		requireMeasured(t, a.Expr, measured)
		page, is := strings.CutPrefix(a.Annotations["runbook_url"], "docs/operations.md#")
		require.True(t, is, a.Alert)
		require.Contains(t, headings, page, a.Alert)
		require.NotEmpty(t, a.Annotations["summary"])
		require.Contains(t, []string{"warning", "critical"}, a.Labels["severity"])
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, "../../deploy/grafana.json")), &dashboard))
	require.NotEmpty(t, dashboard.Panels)
	for _, p := range dashboard.Panels {
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			requireMeasured(t, target.Expr, measured)
		}
	}
}

type alert struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func parsedAlerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(read(t, "../../deploy/alerts.yml")))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&file))
	require.Len(t, file.Groups, 1)
	return file.Groups[0].Rules
}

// requireMeasured finds in an expression only metrics that there are.
func requireMeasured(t *testing.T, expr string, measured []string) {
	t.Helper()
	asked := unique(regexp.MustCompile(`(parley_\w+)`), expr)
	for _, name := range asked {
		base := strings.TrimSuffix(strings.TrimSuffix(name, "_count"), "_bucket")
		require.Contains(t, measured, base, expr)
	}
	require.True(t, len(asked) > 0 || strings.HasPrefix(expr, "up{"), expr)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func unique(wanted *regexp.Regexp, text string) (list []string) {
	for _, found := range wanted.FindAllStringSubmatch(text, -1) {
		list = append(list, found[1])
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func TestADelayIsCountedWhileNothingMovesBehindTheHead(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	var d delay
	for i, step := range []struct {
		at, head uint64
		seconds  float64
	}{
		{5, 5, 0}, {5, 5, 0}, {5, 7, 10}, {5, 9, 20}, {6, 9, 0}, {6, 9, 10}, {9, 9, 0}, {9, 10, 10},
	} {
		now := begun.Add(time.Duration(i) * 10 * time.Second)
		require.InDelta(t, step.seconds, d.seconds(events.At(step.at), events.At(step.head), now), 1e-9, i)
	}
}

// A server that begins with everything published stands behind nothing.
func TestAQuietLogIsNotStalledAfterARestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	server := serving(t, dir, "--log-level", "error")
	server.stop(t)
	server = serving(t, dir, "--log-level", "error")
	t.Cleanup(func() { server.stop(t) })
	_, body := server.ask(t, http.MethodGet, "/metrics", nil) // the first look, from which delays count
	require.Contains(t, body, "parley_projection_stalled_seconds 0")
	require.NoError(t, eventually("the publisher is measured at the head", func() (bool, error) {
		_, body = server.ask(t, http.MethodGet, "/metrics", nil)
		return regexp.MustCompile(`(?m)^parley_events_stalled_seconds 0$`).MatchString(body) &&
			strings.Contains(body, "parley_dead_letters 0"), nil
	}))
	_, body = server.ask(t, http.MethodGet, "/metrics", nil) // another look: nothing has moved since
	require.Regexp(t, `(?m)^parley_events_stalled_seconds 0$`, body)
}
