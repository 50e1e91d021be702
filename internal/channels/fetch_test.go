package channels_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels"
	"github.com/parley-engine/parley/internal/channels/carrier"
)

var errFull = errors.New("too large")

func keepAll(_ context.Context, r io.Reader, limit int64) (string, int64, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if int64(len(data)) > limit {
		return "", 0, errFull
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), int64(len(data)), err
}

func TestFilesAreFetchedWithinLimits(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.ContainsFunc(r.RequestURI, func(c rune) bool { return c > '~' }) {
			t.Errorf("%q is not ASCII", r.RequestURI)
		}
		switch r.URL.Path {
		case "/ok":
			w.Header().Set("Content-Type", "image/png; a=b")
			w.Header().Set("Content-Disposition", `attachment; filename="../../x.png"`)
			_, _ = w.Write([]byte("picture"))
		case "/endless":
			for range 1000 {
				_, _ = w.Write(bytes.Repeat([]byte("x"), 1000))
			}
		case "/announced":
			w.Header().Set("Content-Length", "100000")
		case "/elsewhere":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/broken":
			w.WriteHeader(http.StatusBadGateway)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	f := channels.Fetcher{Client: client, Put: keepAll, Limit: 1000}
	file, hash, err := f.Keep(t.Context(), carrier.Media{URL: server.URL + "/ok?name=ü ber"})
	require.NoError(t, err)
	require.Equal(t, events.Media{ContentType: "image/png", Filename: "x.png", Size: 7}, file)
	require.Len(t, hash, 64)
	for path, final := range map[string]bool{"/endless": true, "/announced": true, "/elsewhere": true, "/nothing": true, "/broken": false} {
		_, _, err := f.Keep(t.Context(), carrier.Media{URL: server.URL + path})
		var no *carrier.Refused
		require.Error(t, err)
		require.Equal(t, final, errors.As(err, &no), "%s: %v", path, err)
	}
	var no *carrier.Refused
	_, _, err = f.Keep(t.Context(), carrier.Media{URL: "::"})
	require.ErrorAs(t, err, &no)
}

func TestFilesOfInboundMessagesBecomeOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, channelsDefault)
		attempts := 0
		w.keep = func(ctx context.Context, m carrier.Media) (events.Media, string, error) {
			if attempts++; attempts == 1 {
				return events.Media{}, "", errors.New("not now")
			}
			if strings.HasSuffix(m.URL, "lost") {
				return events.Media{}, "", &carrier.Refused{Reason: "gone"}
			}
			hash, size, err := keepAll(ctx, strings.NewReader(m.URL), 1000)
			return events.Media{ContentType: "image/png", Size: size}, hash, err
		}
		sid := w.conversation(outside(ada, ours), conversation.AddParticipant{Identity: "agent"})
		w.run(time.Minute, func(c *channels.Channels) {
			require.NoError(t, c.Take(t.Context(), "test", carrier.Report{Inbound: &carrier.Inbound{
				ID: "1", From: ada, To: []string{ours}, Body: "look", Media: []carrier.Media{{URL: "https://carrier/1"}, {URL: "https://carrier/lost"}},
			}}))
		})
		var added []events.MessageAdded
		for _, e := range w.events(sid) {
			if m, ok := e.(events.MessageAdded); ok {
				added = append(added, m)
			}
		}
		require.Len(t, added, 1)
		require.Len(t, added[0].Media, 1)
		require.JSONEq(t, `{"media":[{"url":"https://carrier/lost"}]}`, added[0].Attributes)
		require.Equal(t, "look", added[0].Body)
	})
}
