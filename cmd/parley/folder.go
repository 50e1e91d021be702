package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/store"
)

// folder is a data folder: everything a server owns.
//
//	log.db            the log (see docs/log-format.md)
//	read/             read models, one file a generation; can be deleted
//	store.json        in place of log.db: in which database the log is
//	metrics.db        computed figures; can be deleted
//	metrics/          definitions of metrics that are yours
//	snapshots.db      folded states; can be deleted
//	bus/              the embedded broker's streams
//	reactors/         what is to be done outside, and what was
//	account           SID of the account made at the first start
//	media/            uploaded files, named by their content
//	secrets/          tokens and keys, 0600
//	last-backup.json  how far the last backup goes
//	rescued-*         what only read models had when the log had lost its end, and they themselves
//	endpoints.json    where the running server listens; gone when it stops
type folder string

func dataFlag(c *cobra.Command) *string {
	return c.Flags().String("data", ".parley", "data folder")
}

func (f folder) path(names ...string) string {
	return filepath.Join(append([]string{string(f)}, names...)...)
}

func (f folder) log() string       { return f.path("log.db") }
func (f folder) read() string      { return f.path("read") }
func (f folder) media() string     { return f.path("media") }
func (f folder) endpoints() string { return f.path("endpoints.json") }

// exists refuses a folder that no server was ever started on, so that a typing
// error does not look like an empty engine.
func (f folder) exists() error {
	_, err := os.Stat(f.log())
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(f.storeFile())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not a data folder of Parley: it has neither log.db nor store.json; --data or PARLEY_DATA names one", f)
	}
	return err
}

// claim makes the folder, with rights for its owner only, if it is missing, and
// refuses one with files but no log: somebody else's, or ours with its log lost.
// A node of several begins with what the first one has: account and secrets.
func (f folder) claim(shared bool) error {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if f.exists() == nil {
		return nil
	}
	entries, err := os.ReadDir(string(f))
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	for _, e := range entries {
		// A first start that was cut short leaves log.db.lock and log.db.new.
		given := shared && (e.Name() == "account" || e.Name() == "secrets")
		if !given && !strings.HasPrefix(e.Name(), "log.db") && !strings.HasPrefix(e.Name(), "store.json") && e.Name() != "lost+found" {
			return fmt.Errorf("%s is not a data folder of Parley: it has %s and no log.db; choose an empty folder, or bring log.db back", f, e.Name())
		}
	}
	return nil
}

// furnish makes the folders within a claimed folder.
func (f folder) furnish() error {
	for _, dir := range []string{f.read(), f.path("bus"), f.path("secrets")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("data folder: %w", err)
		}
	}
	return nil
}

// secret returns the token kept under name, making one of 128 bits at first.
func (f folder) secret(name string) (string, error) { return f.random(name, 16) }

// random returns the hex digits kept under name, choosing so many bytes at first.
func (f folder) random(name string, bytes int) (string, error) {
	path := f.path("secrets", name)
	if token, err := secretIn(path); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = soundSecret(path, token, bytes)
		}
		return token, err
	}
	token, err := randomHex(bytes)
	if err != nil {
		return "", err
	}
	return token, writeFile(path, []byte(token+"\n"))
}

func randomHex(bytes int) (string, error) {
	random := make([]byte, bytes)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	return hex.EncodeToString(random), nil
}

// account returns the SID of the folder's own account, choosing one at first.
// A log with events has had one: choosing another would hide them all from
// clients that name no account.
func (f folder) account(ctx context.Context, log store.LogReader) (string, error) {
	if sid, err := f.knownAccount(); err != nil || sid != "" {
		return sid, err
	}
	head, err := log.Head(ctx)
	if err != nil {
		return "", err
	}
	if !head.IsZero() {
		return "", fmt.Errorf("%s is missing, but the log has events: put the account's SID back; event list --type account.created.v1 shows it", f.path("account"))
	}
	chosen, err := randomHex(16)
	if err != nil {
		return "", err
	}
	chosen = "AC" + chosen
	return chosen, writeFile(f.path("account"), []byte(chosen+"\n"))
}

// knownAccount returns the SID of the folder's own account, empty before one was
// chosen.
func (f folder) knownAccount() (string, error) {
	sid, err := os.ReadFile(f.path("account"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(sid)), err
}

// known returns a secret that must exist.
func (f folder) known(name string) (string, error) { return secretIn(f.path("secrets", name)) }

// secretIn returns what a file holds, without the end of the line.
func secretIn(path string) (string, error) {
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}

// endpoints are the addresses of a running server.
type endpoints struct {
	HTTP string `json:"http"` // http://127.0.0.1:port
	NATS string `json:"nats"` // nats://127.0.0.1:port
	PID  int    `json:"pid"`
	Cert string `json:"cert,omitempty"` // file with the certificate that HTTP and ESDB show
	ESDB string `json:"esdb,omitempty"` // esdb://127.0.0.1:port

	Operations string `json:"operations,omitempty"` // http://127.0.0.1:port of metrics and administration; empty: HTTP's

	External  bool   `json:"external,omitempty"`   // the broker is not the server's own
	TokenFile string `json:"token_file,omitempty"` // what it takes to get into an external one
	Creds     string `json:"creds,omitempty"`
	CA        string `json:"ca,omitempty"`
}

// forOperators is where metrics, readiness in detail and administration are.
func (e endpoints) forOperators() string { return cmp.Or(e.Operations, e.HTTP) }

// running returns where the folder's server listens, or errNoServer. A file
// that a killed server left behind is found out by whoever connects.
func (f folder) running() (endpoints, error) {
	var e endpoints
	data, err := os.ReadFile(f.endpoints())
	if errors.Is(err, fs.ErrNotExist) {
		return e, fmt.Errorf("%s: %w", f, errNoServer)
	}
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("%s is damaged: %w; it says where the server listens: start the server again", f.endpoints(), err)
	}
	return e, nil
}

func (f folder) announce(e endpoints) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return writeFile(f.endpoints(), append(data, '\n'))
}

// writeFile replaces a file, for its owner's eyes only: all of it or none, and
// durable when it returns.
func writeFile(path string, data []byte) error {
	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes the names in a folder survive a power cut.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
