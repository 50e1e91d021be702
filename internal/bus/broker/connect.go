package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// connectTimeout bounds the first connection attempt.
const connectTimeout = 5 * time.Second

// reconnectWait is the pause between attempts after a connection was lost.
const reconnectWait = 200 * time.Millisecond

// Connect opens a connection that survives restarts of the server: it
// reconnects for ever, and what was subscribed stays subscribed. The first
// attempt must succeed. The caller closes the connection. A nil logger
// discards.
func Connect(url, token, name string, log *slog.Logger) (*nats.Conn, error) {
	return Target{URL: url, Token: token}.Connect(name, log)
}

// Target is a broker and what it takes to get in.
type Target struct {
	URL   string // nats:// or tls://, several of a cluster separated by commas
	Token string // empty: none
	Creds string // file with a user's JWT and seed; empty: none
	CA    string // file with the certificates that sign the broker's; empty: the system's
}

// Connect is the function of that name, with more ways to get in.
func (t Target) Connect(name string, log *slog.Logger) (*nats.Conn, error) {
	options := options(t.Token, name, log)
	if t.Creds != "" {
		options = append(options, nats.UserCredentials(t.Creds))
	}
	if t.CA != "" {
		options = append(options, nats.RootCAs(t.CA))
	}
	nc, err := nats.Connect(t.URL, options...)
	if errors.Is(err, nats.ErrAuthorization) {
		return nil, fmt.Errorf("connect to bus %s: the token or credentials were refused: %w", t.URL, err)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to bus %s: %w", t.URL, err)
	}
	return nc, nil
}

func options(token, name string, log *slog.Logger) []nats.Option {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	all := append(reporting(log),
		nats.Name(name), nats.Timeout(connectTimeout),
		nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait))
	if token != "" {
		all = append(all, nats.Token(token))
	}
	return all
}

// Connect opens a connection to this server that may do everything, with a secret that
// nobody outside this process has. It goes through
// the loopback interface like everybody else's: an in-process pipe was measured
// and is no faster.
func (s *Server) Connect(name string, log *slog.Logger) (*nats.Conn, error) {
	return Connect(s.URL(), ownSecret(), name, log)
}

func reporting(log *slog.Logger) []nats.Option {
	return []nats.Option{
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("bus connection lost", "err", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("bus connection restored", "url", nc.ConnectedUrlRedacted())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Error("bus connection reports an error", "err", err)
		}),
	}
}
