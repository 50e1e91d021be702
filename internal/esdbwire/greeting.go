package esdbwire

import (
	"bytes"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Bounds of what is looked at of a connection by HTTP/2 before it is known who is there.
const (
	maxGreeting     = 64 << 10
	greetingPause   = 3 * time.Second // then it is gRPC's: its clients may have nothing to ask yet
	frameHead       = 9               // bytes; an answer to settings has no more
	firstOfHTTP2    = http2.ClientPreface
	grpcContentType = "application/grpc"
)

// speaksGRPC reads a connection by HTTP/2 up to its first request, and reports whether
// that is gRPC's. What was read comes again from the connection that is returned. The
// client is sent settings that say nothing: some ask nothing before they have any.
func speaksGRPC(conn net.Conn) (again net.Conn, yes bool) {
	var seen bytes.Buffer
	in := io.TeeReader(conn, &seen)
	again = &begun{Conn: conn}
	defer func() { again.(*begun).first = seen.Bytes() }()
	if conn.SetReadDeadline(time.Now().Add(greetingPause)) != nil {
		return again, true
	}
	start := make([]byte, len(firstOfHTTP2))
	if _, err := io.ReadFull(in, start); err != nil || string(start) != firstOfHTTP2 {
		return again, true
	}
	framer := http2.NewFramer(conn, in)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.MaxHeaderListSize = 16 << 10
	framer.SetMaxReadFrameSize(1 << 14)
	if framer.WriteSettings() != nil {
		return again, true
	}
	for seen.Len() < maxGreeting {
		frame, err := framer.ReadFrame()
		if err != nil {
			return again, true
		}
		if head, ok := frame.(*http2.MetaHeadersFrame); ok {
			return again, isGRPC(head)
		}
	}
	return again, true
}

func isGRPC(head *http2.MetaHeadersFrame) bool {
	for _, f := range head.RegularFields() {
		if f.Name == "content-type" {
			return strings.HasPrefix(f.Value, grpcContentType)
		}
	}
	return false
}

// unanswered is a connection by HTTP/2 without the client's answer to the settings that
// it was sent: who serves it has not sent them.
type unanswered struct {
	net.Conn
	raw  int    // bytes to be handed on as they come
	head []byte // of a frame, to be handed on
	done bool   // the answer has been taken out
}

func newUnanswered(conn net.Conn) *unanswered {
	return &unanswered{Conn: conn, raw: len(firstOfHTTP2)}
}

// Read implements net.Conn.
func (u *unanswered) Read(p []byte) (int, error) {
	if u.raw == 0 && len(u.head) == 0 && !u.done {
		if err := u.nextFrame(); err != nil {
			return 0, err
		}
	}
	switch {
	case len(u.head) > 0:
		n := copy(p, u.head)
		u.head = u.head[n:]
		return n, nil
	case u.done && u.raw == 0:
		return u.Conn.Read(p)
	}
	n, err := u.Conn.Read(p[:min(len(p), u.raw)])
	u.raw -= n
	return n, err
}

// nextFrame reads the head of a frame, which is handed on unless it is the answer.
func (u *unanswered) nextFrame() error {
	head := make([]byte, frameHead)
	if _, err := io.ReadFull(u.Conn, head); err != nil {
		return err
	}
	if u.done = http2.FrameType(head[3]) == http2.FrameSettings && http2.Flags(head[4]).Has(http2.FlagSettingsAck); !u.done {
		u.head, u.raw = head, int(head[0])<<16|int(head[1])<<8|int(head[2])
	}
	return nil
}
