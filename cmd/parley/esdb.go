package main

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
)

// checkESDB refuses what would show the whole log to everybody by accident.
func (s *settings) checkESDB() error {
	if s.esdb == "" && s.esdbWrite {
		return errors.New("--esdb-write needs --esdb")
	}
	if s.esdb == "" {
		return nil
	}
	if err := s.checkAddress("--esdb", s.esdb); err != nil {
		return err
	}
	if s.tlsCert == "" && !s.insecure {
		return errors.New("--esdb needs --tls-cert and --tls-key: its clients send no password without TLS; with --insecure everybody on this machine can read the log")
	}
	return nil
}

func (v *server) openESDB() (err error) {
	if v.settings.esdb == "" {
		return nil
	}
	if v.esdb, err = net.Listen("tcp", v.settings.esdb); err != nil {
		return fmt.Errorf("esdb: %w", err)
	}
	return nil
}

// esdbAdmin is who may read the log by EventStoreDB's protocol: it has what is in
// all accounts.
const esdbAdmin = "admin"

func (v *server) runESDB(ctx context.Context) error {
	if v.esdb == nil {
		return nil
	}
	config := esdbwire.Config{Log: v.store, Own: events.Categories(), Ready: func() bool { return v.writes.failure() == nil && !isClosed(v.stopping) }}
	if v.settings.esdbWrite {
		config.Appender = v.writes
	}
	if v.settings.tlsCert != "" {
		pair, err := tls.LoadX509KeyPair(v.settings.tlsCert, v.settings.tlsKey)
		if err != nil {
			return err
		}
		token, err := v.folder.secret("admin-token")
		if err != nil {
			return err
		}
		config.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
		config.Users = func(user, password string) bool {
			named := subtle.ConstantTimeCompare([]byte(user), []byte(esdbAdmin))
			return named&subtle.ConstantTimeCompare([]byte(password), []byte(token)) == 1
		}
	}
	server := esdbwire.New(config)
	served := make(chan error, 1)
	go func() { served <- server.Serve(v.esdb) }() // waited for below
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		server.Close()
		return <-served
	}
}

// esdbURL is what a client is given, without the password.
func (v *server) esdbURL() string {
	url := "esdb://" + v.esdb.Addr().String()
	if v.settings.tlsCert == "" {
		return url + "?tls=false"
	}
	return url
}

// esdbUser says how to get in.
func (v *server) esdbUser() string {
	may := "read only"
	if v.settings.esdbWrite {
		may = "streams of others can be written"
	}
	if v.settings.tlsCert == "" {
		return "no password, " + may
	}
	return "user " + esdbAdmin + ", password in " + v.folder.path("secrets", "admin-token") + ", " + may
}
