package smpp_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/smpptest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/channels/smpp"
)

// The SMSC of these tests is the test server of another library, go-smpp. Where
// the two disagree:
//   - It closes the connection on a wrong password, where a real SMSC answers
//     bind_transceiver_resp with a status; refuse plays that.
//   - Its bind response has a sequence number of its own and not the request's, so
//     ours must not insist.
//   - It writes a message id, if an empty one, into responses with an error, where
//     the standard has no body; bare plays that.
//   - Its deliver_sm has, when written, a field for the length of a user data header
//     between sm_length and the message even without one, an octet that sm_length does
//     not count: the last octet of the message then ends the PDU too late. Read, it
//     has not. So what is delivered here is written as its submit_sm, which has the
//     same fields but that, with the other command id.
//   - Its submit_sm knows no user data header, which stays in the short message, as
//     joined wants it.
//   - Its GSM alphabet is the one ours was copied from; so the octets are compared
//     with those of the standard.
//   - Its TLS setting does nothing.

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // the server tells of every connection that ends
	goleak.VerifyTestMain(m)
}

var _ interface {
	carrier.Carrier
	carrier.Listener
} = (*smpp.Carrier)(nil)

// smsc is a server and what came to it.
type smsc struct {
	*smpptest.Server
	bonds chan smpptest.Conn // one for each enquire_link, which comes first on a bond
	came  chan pdu.Body      // what is neither enquire_link nor submit_sm
}

// start plays an SMSC; submit does with submit_sm what it likes.
func start(t *testing.T, submit func(smpptest.Conn, pdu.Body)) *smsc {
	s := &smsc{Server: smpptest.NewUnstartedServer(), bonds: make(chan smpptest.Conn, 100), came: make(chan pdu.Body, 100)}
	s.Handler = func(c smpptest.Conn, p pdu.Body) {
		switch p.Header().ID {
		case pdu.EnquireLinkID:
			_ = c.Write(pdu.NewEnquireLinkRespSeq(p.Header().Seq))
			s.bonds <- c
		case pdu.SubmitSMID:
			submit(c, p)
		default:
			s.came <- p
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// accept answers a submit_sm with the id and the status.
func accept(c smpptest.Conn, p pdu.Body, id string, status pdu.Status) {
	r := pdu.NewSubmitSMResp()
	r.Header().Seq, r.Header().Status = p.Header().Seq, status
	_ = r.Fields().Set(pdufield.MessageID, id)
	_ = c.Write(r)
}

func acceptAll(c smpptest.Conn, p pdu.Body) { accept(c, p, "id1", 0) }

// octets is a PDU that is written as it stands.
type octets struct {
	pdu.Body
	raw []byte
}

func (o octets) SerializeTo(w io.Writer) error {
	_, err := w.Write(o.raw)
	return err
}

// bare is a header without body.
func bare(id pdu.ID, status pdu.Status, sequence uint32) octets {
	var b bytes.Buffer
	_ = (&pdu.Header{Len: pdu.HeaderLen, ID: id, Status: status, Seq: sequence}).SerializeTo(&b)
	return octets{raw: b.Bytes()}
}

// listening is a carrier that is bound to an SMSC.
type listening struct {
	*smpp.Carrier
	reports chan carrier.Report
	log     *lines
	stop    func() // ends Listen and waits for it

	mu   sync.Mutex
	fail error // what take returns
}

func (l *listening) failWith(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
}

func (l *listening) take(_ context.Context, r carrier.Report) error {
	l.reports <- r
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fail
}

func config(t *testing.T, address string) smpp.Config {
	path := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(path, []byte(smpptest.DefaultPasswd+"\n"), 0o600))
	return smpp.Config{Address: address, SystemID: smpptest.DefaultUser, PasswordFile: path, ReconnectSeconds: 0.01, ThrottleSeconds: 0.001}
}

// listen binds without waiting for it.
func listen(t *testing.T, c smpp.Config) *listening {
	t.Helper()
	l := &listening{reports: make(chan carrier.Report, 100), log: &lines{}}
	made, err := smpp.New(c, slog.New(slog.NewTextHandler(l.log, nil)))
	require.NoError(t, err)
	l.Carrier = made
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Listen(ctx, l.take) }()
	l.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("listen: %v", err)
		}
	})
	t.Cleanup(l.stop)
	return l
}

// bound is a carrier and the server's side of its bond.
func bound(t *testing.T, s *smsc, change func(*smpp.Config)) (*listening, smpptest.Conn) {
	t.Helper()
	c := config(t, s.Addr())
	if change != nil {
		change(&c)
	}
	return listen(t, c), receive(t, s.bonds)
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		panic("not reached")
	}
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
