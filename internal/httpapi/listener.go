package httpapi

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// Listener lets what net/http itself refuses — a request target or a header that is none,
// a head that is too long — be answered as Twilio would, too: net/http writes such answers
// to the connection, in plain text, and no handler sees them. It is for connections
// without TLS: net/http wants to see those with it.
func Listener(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

// Accept waits for the next connection.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
}

// conn is a connection whose owner is net/http. Its methods are as safe for concurrent
// use as those of the connection below.
type conn struct{ net.Conn }

// refusalHead is how an answer of net/http's own begins behind its first line; those of
// handlers have other headers first.
var refusalHead = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// unexpected is how an answer to an Expect begins that net/http does not know. No handler
// sends one, and it has no body.
var unexpected = []byte("HTTP/1.1 417 Expectation Failed\r\n")

// Write sends an answer of net/http's own in our words and anything else as it is.
func (c *conn) Write(p []byte) (int, error) {
	if ours, ok := translated(p); ok {
		if _, err := c.Conn.Write(ours); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// ReadFrom keeps the way from a file to the connection short.
func (c *conn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// CloseWrite lets net/http end a connection so that the client still reads the answer.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// translated turns an answer of net/http's own into ours; ok is false for another.
func translated(p []byte) (ours []byte, ok bool) {
	const protocol, digits = "HTTP/1.1 ", 3
	line, text, found := bytes.Cut(p, refusalHead)
	if bytes.HasPrefix(p, unexpected) {
		line, text, found = bytes.TrimSuffix(unexpected, []byte("\r\n")), bytes.TrimSuffix(unexpected[len(protocol):], []byte("\r\n")), true
	}
	if !found || !bytes.HasPrefix(line, []byte(protocol)) || bytes.ContainsAny(line, "\r\n") || len(line) < len(protocol)+digits {
		return nil, false
	}
	status, err := strconv.Atoi(string(line[len(protocol) : len(protocol)+digits]))
	if err != nil || status < http.StatusBadRequest {
		return nil, false
	}
	a := answerText{header: http.Header{}}
	rest.Refuse(&a, rest.Malformed(status, reason(string(text))))
	a.header.Set("Connection", "close")
	a.header.Set("Content-Length", strconv.Itoa(a.body.Len()))
	var b bytes.Buffer
	b.Write(line)
	b.WriteString("\r\n")
	_ = a.header.Write(&b) // to memory
	b.WriteString("\r\n")
	b.Write(a.body.Bytes())
	return b.Bytes(), true
}

// reason says in words what net/http says of a request, as in "400 Bad Request: missing
// required Host header".
func reason(text string) string {
	_, words, _ := strings.Cut(text, " ")
	if words == http.StatusText(http.StatusBadRequest) {
		words = "its target or a header is malformed"
	}
	return "The request could not be read: " + words
}

// answerText is an answer that is only written down.
type answerText struct {
	header http.Header
	body   bytes.Buffer
}

func (a *answerText) Header() http.Header         { return a.header }
func (a *answerText) WriteHeader(int)             {}
func (a *answerText) Write(p []byte) (int, error) { return a.body.Write(p) }
