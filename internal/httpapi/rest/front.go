package rest

import (
	"net/http"
	"net/url"
	"path"
	"strings"
)

// Front stands before all that a port answers: what no handler may see, and what none
// knows, is refused here, in Twilio's shape.
//
// A body that is compressed, or in any other way not what its type says, is 415: nobody
// behind it would understand it. A path that is not clean is 404 and never redirected:
// clients follow a redirect to somewhere else with a method that was meant for here.
func Front(mux *http.ServeMux) http.Handler {
	mux.Handle("/", unknown(mux))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, refused := unfit(r); refused {
			Refuse(w, p)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// Refuse answers with an error, as a client of Twilio's expects one. What is no error of
// this package is an internal one.
func Refuse(w http.ResponseWriter, err error) {
	if h := w.Header(); h.Get("Twilio-Request-Id") == "" {
		h.Set("Twilio-Request-Id", requestID())
	}
	writeProblem(w, problemOf(err, ""))
}

// Malformed is an error about a request that is not what HTTP, or who reads it, expects.
func Malformed(status int, message string) error {
	codes := map[int]int{
		http.StatusUnauthorized: 20003, http.StatusForbidden: 20403, http.StatusNotFound: 20404, http.StatusMethodNotAllowed: 20004,
	}
	code := codes[status]
	switch {
	case code == 0 && status >= http.StatusInternalServerError:
		code = 20500
	case code == 0:
		code = 20001
	}
	return problem{status: status, code: code, message: message}
}

// unfit says why a request is for no handler at all.
func unfit(r *http.Request) (problem, bool) {
	switch {
	case !routable(r):
		return notFound(r.URL.Path), true
	case r.ContentLength != 0 && encoded(r.Header["Content-Encoding"]):
		return problem{status: http.StatusUnsupportedMediaType, code: 20001, message: "Bodies are taken as they are, without a Content-Encoding",
			accepts: "identity", details: details{Code: "content_encoding_unsupported", Field: "Content-Encoding"}}, true
	}
	return problem{}, false
}

// encoded reports whether Content-Encoding names anything but "identity", which is none
// (RFC 9110, 8.4.1 and 12.5.3).
func encoded(headers []string) bool {
	for _, header := range headers {
		for coding := range strings.SplitSeq(header, ",") {
			if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
				return true
			}
		}
	}
	return false
}

// routable reports whether the router takes the path as it is; it would answer others
// with a redirect. Segments that mean a place relative to others are none, however they
// are written; an encoded slash is part of a name.
func routable(r *http.Request) bool {
	p := r.URL.EscapedPath()
	return strings.HasPrefix(p, "/") && path.Clean(p) == p && !dotted(p) && r.Method != http.MethodConnect
}

// dotted reports whether a path has a segment that is "." or ".." when it is decoded.
func dotted(escaped string) bool {
	if !strings.Contains(escaped, "%") {
		return false
	}
	for segment := range strings.SplitSeq(escaped, "/") {
		if s, err := url.PathUnescape(segment); err != nil || s == "." || s == ".." {
			return true
		}
	}
	return false
}

// unknown answers for paths and methods that are not in a router's table.
func unknown(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if allowed := allowed(mux, r); allowed != "" {
			w.Header().Set("Allow", allowed)
			Refuse(w, Malformed(http.StatusMethodNotAllowed, "Method not allowed"))
			return
		}
		Refuse(w, notFound(r.URL.Path))
	})
}

// allowed lists the methods there are for the path.
func allowed(mux *http.ServeMux, r *http.Request) string {
	var methods []string
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
		probe := &http.Request{Method: m, URL: r.URL, Host: r.Host}
		if _, pattern := mux.Handler(probe); pattern != "/" && pattern != "" {
			methods = append(methods, m)
		}
	}
	return strings.Join(methods, ", ")
}
