package rest_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/blob"
	"github.com/parley-engine/parley/internal/collector"
	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// upload sends bytes; headers come in pairs.
func (w *world) upload(query, contentType, body string, headers ...string) reply {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.server.URL+"/v1/Services/"+w.service+"/Media"+query, strings.NewReader(body))
	require.NoError(w.t, err)
	r.SetBasicAuth(w.account, w.token)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return w.send(r)
}

// get asks without credentials.
func (w *world) get(address string, headers ...string) reply {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, address, nil)
	require.NoError(w.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return w.send(r)
}

func (r reply) link(name string) string {
	s, _ := r.body["links"].(map[string]any)[name].(string)
	return s
}

func TestAFileIsUploadedAttachedAndFetched(t *testing.T) {
	w := newWorld(t)
	made := w.upload("?Filename=f%C3%BC.png", "image/png", "hello, bytes")
	require.Equal(t, 201, made.status, made.text)
	require.Equal(t, "fü.png", made.str("filename"))
	require.EqualValues(t, 12, made.body["size"])
	second := w.upload("", "text/plain", "x", "Content-Disposition", `attachment; filename="b.txt"`)
	require.Equal(t, "b.txt", second.str("filename"))

	ch := w.must("POST", "/v1/Conversations", nil).str("sid")
	said := w.must("POST", "/v1/Conversations/"+ch+"/Messages", form("MediaSid", made.str("sid"), "MediaSid", second.str("sid")))
	require.Nil(t, said.body["body"])
	require.Equal(t, []any{
		map[string]any{"sid": made.str("sid"), "size": 12.0, "content_type": "image/png", "filename": "fü.png"},
		map[string]any{"sid": second.str("sid"), "size": 1.0, "content_type": "text/plain", "filename": "b.txt"},
	}, said.body["media"])
	about := w.must("GET", "/v1/Services/"+w.service+"/Media/"+made.str("sid"), nil)
	require.Equal(t, said.str("sid"), about.str("message_sid"))

	got := w.get(about.link("content_direct_temporary"))
	require.Equal(t, 200, got.status)
	require.Equal(t, "hello, bytes", got.text)
	for name, want := range map[string]string{"Content-Type": "image/png", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"} {
		require.Equal(t, want, got.header.Get(name))
	}
	require.True(t, strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment"))
	part := w.get(about.link("content_direct_temporary"), "Range", "bytes=7-")
	require.Equal(t, 206, part.status)
	require.Equal(t, "bytes", part.text)
	require.Equal(t, "hello, bytes", w.must("GET", strings.TrimPrefix(about.link("content"), w.server.URL), nil).text, "with credentials")
}

func TestAddressesOfContentAreSignedForOneFileAndAShortTime(t *testing.T) {
	now := time.Now()
	w := newWorld(t, func(c *rest.Config) { c.Now = func() time.Time { return now } })
	a, b := w.upload("", "a/b", "one"), w.upload("", "a/b", "two")
	signed, err := url.Parse(a.link("content_direct_temporary"))
	require.NoError(t, err)
	require.Equal(t, 200, w.get(signed.String()).status)
	other := *signed
	other.Path = strings.Replace(signed.Path, a.str("sid"), b.str("sid"), 1)
	longer := *signed
	q := longer.Query()
	q.Set("Expires", "99999999999")
	longer.RawQuery = q.Encode()
	for _, bad := range []string{other.String(), longer.String(), signed.Scheme + "://" + signed.Host + signed.Path, signed.String() + "0"} {
		require.Equal(t, 401, w.get(bad).status, bad)
	}
	now = now.Add(301 * time.Second)
	require.Equal(t, 401, w.get(signed.String()).status, "it has expired")
}

func TestUploadsThatAreNone(t *testing.T) {
	w := newWorld(t, func(c *rest.Config) { c.MaxMedia = 8 })
	before := w.events()
	for _, row := range []struct {
		query, contentType, body string
		status, code             int
	}{
		{"", "a/b", "123456789", 413, 50512},
		{"", "", "x", 400, 50511},
		{"", "nonsense", "x", 400, 50511},
		{"", "application/x-www-form-urlencoded", "x", 400, 50511},
		{"", "multipart/form-data; boundary=b", "x", 400, 50511},
		{"", "text/html;\x01", "x", 400, 50511},
		{"?Filename=../../etc/passwd", "a/b", "x", 400, 20422},
		{"?Filename=" + strings.Repeat("x", 300), "a/b", "x", 400, 20422},
		{"?Filename=%00", "a/b", "x", 400, 20422},
	} {
		if strings.ContainsRune(row.contentType, 1) {
			continue // the client itself refuses to send it
		}
		got := w.upload(row.query, row.contentType, row.body)
		require.Equal(t, row.status, got.status, "%+v: %s", row, got.text)
		require.EqualValues(t, row.code, got.body["code"], got.text)
	}
	require.Equal(t, before, w.events())
	require.Equal(t, 201, w.upload("", "a/b", "12345678").status)
}

func TestAUserFetchesWhatIsInHisConversations(t *testing.T) {
	w := newWorld(t)
	w.signs()
	for _, identity := range []string{"ann", "eve"} {
		w.must("POST", "/v1/Users", form("Identity", identity))
	}
	ch := w.must("POST", "/v1/Conversations", nil).str("sid")
	w.must("POST", "/v1/Conversations/"+ch+"/Participants", form("Identity", "ann"))
	file := w.upload("", "a/b", "secret").str("sid")
	path := "/v1/Media/" + file
	ann, eve := w.accessToken("", "ann"), w.accessToken("", "eve")
	require.Equal(t, 404, w.as(ann, "GET", path, nil).status, "nobody has it yet, and it is not hers")
	w.must("POST", "/v1/Conversations/"+ch+"/Messages", form("MediaSid", file))
	require.Equal(t, 200, w.as(ann, "GET", path, nil).status)
	require.Equal(t, "secret", w.as(ann, "GET", path+"/Content", nil).text)
	for _, what := range []string{path, path + "/Content"} {
		got, absent := w.as(eve, "GET", what, nil), w.as(eve, "GET", strings.ReplaceAll(what, file, nothing("ME")), nil)
		require.Equal(t, 404, got.status)
		require.Equal(t, strings.ReplaceAll(got.text, file, nothing("ME")), absent.text, "whether there is one is not hers to know")
	}
}

// clearing is the collector of a world, with its bytes.
func (w *world) clearing(files *blob.Store) *collector.Collector {
	return collector.New(collector.Config{
		Models: w.models.Queries, Execute: w.engine.Execute, CatchUp: w.caughtUp,
		Sweep: func(ctx context.Context, olderThan time.Time, held func(context.Context, string) (bool, error)) error {
			_, _, err := files.Sweep(ctx, olderThan, held)
			return err
		},
	})
}

func TestWhatNobodyCanReachIsClearedAway(t *testing.T) {
	files, err := blob.Open(t.TempDir())
	require.NoError(t, err)
	w := newWorld(t, func(c *rest.Config) { c.Files = testFiles{files} })
	ch := w.must("POST", "/v1/Conversations", nil).str("sid")
	in := "/v1/Conversations/" + ch + "/Messages"
	attached, loose, doomed, twin := w.upload("", "a/b", "attached"), w.upload("", "a/b", "loose"), w.upload("", "a/b", "doomed"), w.upload("", "a/b", "attached")
	w.must("POST", in, form("MediaSid", attached.str("sid")))
	message := w.must("POST", in, form("MediaSid", doomed.str("sid"))).str("sid")
	status := func(file reply) int { return w.call("GET", "/v1/Media/"+file.str("sid"), nil).status }
	collect := func(after time.Duration) {
		require.NoError(t, w.caughtUp(t.Context()))
		require.NoError(t, w.clearing(files).Collect(t.Context(), time.Now().Add(after)))
		require.NoError(t, w.caughtUp(t.Context()))
	}
	collect(collector.UnattachedLife - time.Second)
	require.Equal(t, []int{200, 200, 200, 200}, []int{status(attached), status(loose), status(doomed), status(twin)}, "it is early")
	w.must("DELETE", in+"/"+message, nil)
	collect(collector.UnattachedLife + time.Second)
	require.Equal(t, []int{200, 404, 404, 404}, []int{status(attached), status(loose), status(doomed), status(twin)})
	collect(time.Hour)
	require.Equal(t, "attached", w.must("GET", "/v1/Media/"+attached.str("sid")+"/Content", nil).text, "another file had the same bytes")
	for _, gone := range []reply{loose, doomed} {
		_, err := files.Get(gone.str("sha256"))
		require.Error(t, err, "bytes nobody stands for are gone")
	}
	head, err := w.log.Head(t.Context())
	require.NoError(t, err)
	collect(time.Hour)
	again, err := w.log.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, head, again, "there is nothing left to do")
}

func TestARemovedServiceIsClearedAwayWithAllThatIsInIt(t *testing.T) {
	files, err := blob.Open(t.TempDir())
	require.NoError(t, err)
	w := newWorld(t, func(c *rest.Config) { c.Files = testFiles{files} })
	mg := w.do("account.add-messaging-service", w.account, `{}`).Sid
	is := w.must("POST", "/v1/Services", form("FriendlyName", "doomed")).str("sid")
	s := "/v1/Services/" + is
	ch := w.must("POST", s+"/Conversations", form("MessagingServiceSid", mg)).str("sid")
	pair := form("MessagingBinding.Address", "+12125550100", "MessagingBinding.ProxyAddress", "+12125550199")
	w.must("POST", s+"/Conversations/"+ch+"/Participants", pair)
	w.must("POST", s+"/Conversations/"+ch+"/Participants", form("Identity", "ann"))
	w.must("POST", s+"/Roles", form("FriendlyName", "r", "Type", "service", "Permission", "joinConversation"))
	require.Equal(t, 409, w.call("DELETE", "/v1/Services/"+w.service, nil).status, "the default one stays")
	w.must("DELETE", s, nil)
	for _, path := range []string{s, s + "/Conversations", s + "/Conversations/" + ch, s + "/Users/ann", s + "/Configuration"} {
		require.Equal(t, 404, w.call("GET", path, nil).status, path)
	}
	require.NoError(t, w.caughtUp(t.Context()))
	for range 2 {
		require.NoError(t, w.clearing(files).Collect(t.Context(), time.Now()))
		require.NoError(t, w.caughtUp(t.Context()))
	}
	left := map[string]bool{}
	for e, err := range w.log.ReadAll(t.Context(), w.start(), everything) {
		require.NoError(t, err)
		if e.Metadata.Service == is || strings.HasSuffix(e.Stream, is) {
			left[e.Stream] = !strings.Contains(e.Type, "removed") && !strings.HasPrefix(e.Stream, "reservation-")
		}
	}
	for stream, lives := range left {
		require.False(t, lives, stream)
	}
	next := w.must("POST", "/v1/Conversations", form("MessagingServiceSid", mg)).str("sid")
	w.must("POST", "/v1/Conversations/"+next+"/Participants", pair)
}
