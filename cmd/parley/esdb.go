package main

import (
	"cmp"
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"unicode"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
)

// checkESDB refuses what would show the whole log to everybody by accident.
func (s *settings) checkESDB() error {
	if s.esdb == "" && s.esdbWrite {
		return errors.New("--esdb-write needs --esdb")
	}
	if s.esdb == "" && s.esdbPassword != "" {
		return errors.New("--esdb-password-file needs --esdb")
	}
	if s.esdb == "" {
		return nil
	}
	if password, from, err := s.chosenPassword(); err != nil {
		return err
	} else if password != "" && s.tlsCert == "" {
		return fmt.Errorf("%s needs --tls-cert and --tls-key: without TLS nobody is asked for a password", from)
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

// passwordVariable holds the password of that user, if it is to be another one than the
// admin token, which opens the operations as well.
const passwordVariable = "PARLEY_ESDB_ADMIN_PASSWORD"

// shortestPassword is in bytes.
const shortestPassword = 8

// chosenPassword returns the password that was chosen for clients of EventStoreDB, and
// where; none when the admin token is to be it.
func (s *settings) chosenPassword() (password, from string, err error) {
	password, set := os.LookupEnv(passwordVariable)
	from = passwordVariable
	switch {
	case set && s.esdbPassword != "":
		return "", "", fmt.Errorf("--esdb-password-file and %s are both given", passwordVariable)
	case s.esdbPassword != "":
		if password, err = secretIn(s.esdbPassword); err != nil {
			return "", "", fmt.Errorf("--esdb-password-file: %w", err)
		}
		from = s.esdbPassword
	case !set:
		return "", "", nil
	}
	if len(password) < shortestPassword || strings.ContainsFunc(password, unicode.IsControl) {
		return "", "", fmt.Errorf("the password in %s needs %d characters or more, in one line", from, shortestPassword)
	}
	return password, from, nil
}

// esdbSecret is the password of clients of EventStoreDB.
func (v *server) esdbSecret() (string, error) {
	password, _, err := v.settings.chosenPassword()
	if err != nil || password != "" {
		return password, err
	}
	return v.folder.secret("admin-token")
}

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
		want, err := v.esdbSecret()
		if err != nil {
			return err
		}
		config.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
		config.Users = func(user, password string) bool {
			named := subtle.ConstantTimeCompare([]byte(user), []byte(esdbAdmin))
			return named&subtle.ConstantTimeCompare([]byte(password), []byte(want)) == 1
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
	_, from, _ := v.settings.chosenPassword() // it was checked
	return "user " + esdbAdmin + ", password in " + cmp.Or(from, v.folder.path("secrets", "admin-token")) + ", " + may
}
