package esdbwire

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// head is the head of a request with a content type, if it is given.
func head(t *testing.T, contentType string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	fields := []hpack.HeaderField{{Name: ":authority", Value: "x"}, {Name: ":method", Value: "POST"}, {Name: ":path", Value: "/a"}, {Name: ":scheme", Value: "http"}}
	if contentType != "" {
		fields = append(fields, hpack.HeaderField{Name: "content-type", Value: contentType})
	}
	for _, f := range fields {
		require.NoError(t, e.WriteField(f))
	}
	return b.Bytes()
}

// Who has not asked anything is gRPC's after a while, and all that was read comes again.
func TestTheFirstRequestDecidesWhoseConnectionItIs(t *testing.T) {
	for name, row := range map[string]struct {
		start, contentType string
		asks, pings, gRPC  bool
		after              time.Duration
	}{
		"gRPC":                {start: http2.ClientPreface, asks: true, contentType: "application/grpc+proto", gRPC: true},
		"gRPC after a ping":   {start: http2.ClientPreface, pings: true, asks: true, contentType: "application/grpc", gRPC: true},
		"a form":              {start: http2.ClientPreface, asks: true, contentType: "application/x-www-form-urlencoded"},
		"nothing said":        {start: http2.ClientPreface, asks: true},
		"no request yet":      {start: http2.ClientPreface, gRPC: true, after: greetingPause},
		"half a preface":      {start: http2.ClientPreface[:10], gRPC: true, after: greetingPause},
		"a ping, and silence": {start: http2.ClientPreface, pings: true, gRPC: true, after: greetingPause},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				var sent bytes.Buffer
				sent.WriteString(row.start)
				framer := http2.NewFramer(&sent, nil)
				if len(row.start) == len(http2.ClientPreface) {
					require.NoError(t, framer.WriteSettings())
				}
				if row.pings {
					require.NoError(t, framer.WritePing(false, [8]byte{1}))
				}
				if row.asks {
					require.NoError(t, framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head(t, row.contentType), EndHeaders: true}))
				}
				go func() { _, _ = io.Copy(io.Discard, client) }() // until it is closed
				go func() { _, _ = client.Write(sent.Bytes()) }()
				begun := time.Now()
				again, yes := speaksGRPC(server)
				require.Equal(t, row.gRPC, yes)
				require.Equal(t, row.after, time.Since(begun))
				got := make([]byte, sent.Len())
				_, err := io.ReadFull(again, got)
				require.NoError(t, err)
				require.Equal(t, sent.Bytes(), got)
				require.NoError(t, client.Close())
				require.NoError(t, server.Close())
			})
		})
	}
}

// The client's answer to the settings that it was sent before is taken out, once, wherever
// it is and in whatever pieces it is read.
func TestTheAnswerToTheFirstSettingsIsTakenOut(t *testing.T) {
	var sent, want bytes.Buffer
	for i, to := range []*bytes.Buffer{&sent, &want} {
		to.WriteString(http2.ClientPreface)
		framer := http2.NewFramer(to, nil)
		require.NoError(t, framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}))
		require.NoError(t, framer.WritePing(false, [8]byte{2}))
		if i == 0 {
			require.NoError(t, framer.WriteSettingsAck())
		}
		require.NoError(t, framer.WriteData(1, true, bytes.Repeat([]byte{4, 1}, 40)))
		require.NoError(t, framer.WriteSettingsAck())
	}
	for size := 1; size < 60; size++ {
		u := newUnanswered(&begun{Conn: ended{}, first: bytes.Clone(sent.Bytes())})
		var got []byte
		for piece := make([]byte, size); ; {
			n, err := u.Read(piece)
			if got = append(got, piece[:n]...); err != nil {
				require.ErrorIs(t, err, io.EOF)
				break
			}
		}
		require.Equal(t, want.Bytes(), got, "in pieces of %d", size)
	}
}

// ended is a connection on which nothing comes.
type ended struct{ net.Conn }

func (ended) Read([]byte) (int, error) { return 0, io.EOF }
