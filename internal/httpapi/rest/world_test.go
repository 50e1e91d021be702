package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/blob"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/httpapi/rest"
	"github.com/parley-engine/parley/internal/seal"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// world is a real engine on a SQLite log with its read models and the REST
// surface on a port of its own. Nothing in it is a stand-in.
type world struct {
	t       testing.TB
	engine  *engine.Engine
	log     *sqlitestore.Store
	models  *projections.ReadModels
	server  *httptest.Server
	account string // AC…
	token   string // its auth token
	service string // its default service
}

const testToken = "0123456789abcdef0123456789abcdef"

// newWorld starts one. change may adjust the configuration first.
func newWorld(t testing.TB, change ...func(*rest.Config)) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, account: domain.SID("AC", "test"), token: testToken}
	var err error
	w.log, err = sqlitestore.Open(filepath.Join(dir, "log.db"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.log.Close()) })
	w.models, err = projections.Open(filepath.Join(dir, "read"), w.log, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.models.Close()) })
	w.follow()
	files, err := blob.Open(filepath.Join(dir, "media"))
	require.NoError(t, err)
	head, err := w.log.Head(t.Context())
	require.NoError(t, err)
	fresh := rest.NewFreshness(head)
	vault, err := seal.New([]byte(strings.Repeat("k", seal.KeySize)))
	require.NoError(t, err)
	w.engine = engine.New(w.log, &engine.Options{
		DefaultAccount: w.account, GroupMMS: true, Vault: vault, Wrote: fresh.Wrote, Memberships: w.memberships, RoleInUse: w.roleInUse,
		OpenConversations: func(ctx context.Context, service, identity string) (int, error) {
			return w.models.OpenConversations(ctx, service, identity, 1000)
		},
	})
	w.do("account.create", w.account, `{"friendly_name":"Test"}`)
	w.do("account.set-auth-token", w.account, `{"secret":"`+w.token+`"}`)
	config := rest.Config{Engine: w.engine, Models: w.models.Queries, Wait: w.models.Wait, Stamp: w.models.Stamp, Log: w.log, Fresh: fresh,
		Files: testFiles{files}, URLKey: []byte("url key")}
	for _, c := range change {
		c(&config)
	}
	w.server = httptest.NewServer(rest.New(config))
	t.Cleanup(w.server.Close)
	place, err := w.engine.Place(t.Context(), w.account, "")
	require.NoError(t, err)
	w.service = place.Service
	return w
}

func (w *world) follow() {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.models.Run(ctx) }()
	w.t.Cleanup(func() { stop(); require.NoError(w.t, <-done) })
}

func (w *world) caughtUp(ctx context.Context) error {
	head, err := w.log.Head(ctx)
	return errors.Join(err, w.models.Wait(ctx, head))
}

func (w *world) memberships(ctx context.Context, service, identity string) (all []engine.Membership, err error) {
	if err := w.caughtUp(ctx); err != nil {
		return nil, err
	}
	list, err := w.models.ParticipantConversationsByIdentity(ctx, service, identity, projections.Page{Limit: 1000})
	for _, place := range list.Items {
		all = append(all, engine.Membership{Conversation: place.Conversation.Sid, Participant: place.Participant.Sid, User: place.Participant.UserSid})
	}
	return all, err
}

func (w *world) roleInUse(ctx context.Context, service, role string) (bool, error) {
	if err := w.caughtUp(ctx); err != nil {
		return false, err
	}
	return w.models.RoleInUse(ctx, service, role)
}

// do has the engine do a command as the bus would, for what REST has no door for.
func (w *world) do(commandType, aggregate, body string) engine.Outcome {
	w.t.Helper()
	outcome, err := w.engine.Execute(w.t.Context(), engine.Command{
		ID: events.ID(uuid.New()), Type: commandType, Aggregate: aggregate, Body: json.RawMessage(body),
	})
	require.NoError(w.t, err)
	return outcome
}

// events counts what is in the log.
func (w *world) events() (n int) {
	for _, err := range w.log.ReadAll(w.t.Context(), events.Position{}, everything) {
		require.NoError(w.t, err)
		n++
	}
	return n
}

// reply is an answer of the surface.
type reply struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

// call sends a request with the account's credentials. A form goes into the body
// of a POST and into the query of anything else.
func (w *world) call(method, path string, form url.Values, headers ...string) reply {
	w.t.Helper()
	var body io.Reader
	target := w.server.URL + path
	if method == http.MethodPost {
		body = strings.NewReader(form.Encode())
	} else if len(form) > 0 {
		target += "?" + form.Encode()
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, target, body)
	require.NoError(w.t, err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.SetBasicAuth(w.account, w.token)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return w.send(r)
}

func (w *world) send(r *http.Request) reply {
	w.t.Helper()
	response, err := w.server.Client().Do(r)
	require.NoError(w.t, err)
	defer func() { _ = response.Body.Close() }()
	got := readReply(w.t, response)
	require.NoError(w.t, checkOwn(r, got), "%s %s: %s", r.Method, r.URL.Path, got.text)
	return got
}

func readReply(t testing.TB, response *http.Response) reply {
	t.Helper()
	data, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	got := reply{status: response.StatusCode, header: response.Header, text: string(data)}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") && len(data) > 0 {
		require.NoError(t, json.Unmarshal(data, &got.body), string(data))
	}
	return got
}

// must is call for what has to go well.
func (w *world) must(method, path string, form url.Values, headers ...string) reply {
	w.t.Helper()
	got := w.call(method, path, form, headers...)
	require.Less(w.t, got.status, 300, "%s %s: %s", method, path, got.text)
	return got
}

func (r reply) str(key string) string { s, _ := r.body[key].(string); return s }

func (r reply) code() int { n, _ := r.body["code"].(float64); return int(n) }

type testFiles struct{ store *blob.Store }

func (f testFiles) Keep(ctx context.Context, r io.Reader, limit int64) (string, int64, error) {
	kept, err := f.store.Put(ctx, r, limit)
	if errors.Is(err, blob.ErrTooLarge) {
		err = rest.ErrTooLarge
	}
	return kept.SHA256, kept.Size, err
}

func (f testFiles) File(sha256 string) (io.ReadSeekCloser, error) { return f.store.Get(sha256) }
