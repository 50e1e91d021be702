package rest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// FuzzRouter sends whatever to the whole surface: no answer is a server's error,
// and every answer has a documented shape.
func FuzzRouter(f *testing.F) {
	r := newRoom(f)
	handler := r.server.Config.Handler
	for i, o := range rest.Describe() {
		v := required(o)
		for _, p := range o.Params {
			if !p.Required && len(p.Values) > 0 {
				v.Set(p.Name, p.Values[0])
			}
		}
		path, body := r.path(o, nil), v.Encode()
		if o.Method != http.MethodPost {
			path, body = path+"?"+body, ""
		}
		f.Add(uint8(i%3), path, body, "application/x-www-form-urlencoded", "")
	}
	f.Add(uint8(1), "/v1/Conversations/%2e%2e/x?PageToken=PA%00", "Participant=%7B&a=%ff", "text/plain", "If-Match: W/\"1\"")
	methods := []string{http.MethodGet, http.MethodPost, http.MethodDelete}
	f.Fuzz(func(t *testing.T, method uint8, target, body, contentType, header string) {
		u, err := url.ParseRequestURI("/v1/" + strings.TrimPrefix(target, "/v1/"))
		if err != nil {
			t.Skip("the server itself would refuse it")
		}
		request := &http.Request{Method: methods[int(method)%len(methods)], URL: u, Host: "parley.example", Header: http.Header{},
			Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
		request = request.WithContext(t.Context())
		request.SetBasicAuth(r.account, r.token)
		request.Header.Set("Content-Type", contentType)
		if name, value, ok := strings.Cut(header, ": "); ok && name != "Authorization" {
			request.Header.Set(name, value)
		}
		request.Header.Del("Parley-Wait-For") // it may wait, and is allowed to
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, request)
		got := reply{status: w.Code, header: w.Header(), text: w.Body.String()}
		if got.status >= 500 {
			t.Fatalf("%s %s: %d %s", request.Method, u, got.status, got.text)
		}
		if got.status == http.StatusNoContent || strings.HasSuffix(u.Path, "/Content") {
			return
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got.body); err != nil {
			t.Fatalf("%s %s: %d %q: %v", request.Method, u, got.status, got.text, err)
		}
		if err := checkOwn(request, got); err != nil {
			t.Fatalf("%s %s: %d %s: %v", request.Method, u, got.status, got.text, err)
		}
	})
}
