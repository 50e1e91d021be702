package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/internal/seal"
	"github.com/parley-engine/parley/store"
)

// What a start says of the folder's files that are not as they must be: which one, and the
// way out. There is no start that is healthy without them.

// damagedQueue says what is lost with a queue that cannot be read, and how to go on.
func damagedQueue(path string, err error) error {
	return fmt.Errorf("%s cannot be used: %w; it has what is to be done outside and what was done: bring it back, or move it away with its -wal and -shm; the next start makes another, and what is in the log by then leads to nothing again", path, err)
}

// partsOf a data folder, besides the log, that keep what nothing else knows.
var partsOf = []struct{ path, holds string }{
	{"bus/jetstream", "durable commands that were acknowledged and not done yet, and dead letters"},
	{"reactors/webhooks.db", "calls of webhooks that waited"},
	{"reactors/channels-out.db", "messages that waited for a gateway"},
	{"reactors/channels-in.db", "messages from carriers that were acknowledged and not in the log yet"},
	{"media", "uploaded files"},
}

// tellMissing says which parts a folder with a log lacks, before anything is acknowledged:
// they were deleted, or the folder is a restored backup, which has no bus and no queues.
func (v *server) tellMissing(ctx context.Context) error {
	head, err := v.store.Head(ctx)
	if err != nil || head.IsZero() {
		return err
	}
	for _, part := range partsOf {
		if strings.HasPrefix(part.path, "bus") && v.settings.broker.URL != "" {
			continue
		}
		if _, err := os.Stat(v.folder.path(part.path)); errors.Is(err, fs.ErrNotExist) {
			v.log.Warn("a part of the data folder is not there: what was in it is lost", "path", v.folder.path(part.path), "holds", part.holds)
		}
	}
	return nil
}

// checkQueues reads the files of the queues as far as that is quick.
func (f folder) checkQueues() error {
	queues, err := filepath.Glob(f.queue("*.db"))
	if err != nil {
		return err
	}
	for _, path := range queues {
		if err := reactor.Check(path); err != nil {
			return damagedQueue(path, err)
		}
	}
	return nil
}

// soundSecret says why what a file under secrets/ holds is none. A key has so many bytes; a
// token may be anybody's choice.
func soundSecret(path, text string, bytes int) error {
	way := "remove it, and the next start makes another"
	if filepath.Base(path) == vaultKey {
		way = "bring it back from a backup: what is secret in the log cannot be read without it; if it is lost for good, remove it, and parley account rotate begins with another one"
	}
	key, err := hex.DecodeString(text)
	isKey := bytes > 16
	switch {
	case text == "":
		return fmt.Errorf("%s is empty; %s", path, way)
	case isKey && (err != nil || len(key) != bytes):
		return fmt.Errorf("%s is not a key of %d hex digits; %s", path, 2*bytes, way)
	case !isKey && (len(text) < 16 || len(text) > 512 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })):
		return fmt.Errorf("%s is not a token of 16 letters or more in one line; %s", path, way)
	}
	return nil
}

// vaultKey is the file of the key to what is secret in the log.
const vaultKey = "vault-key"

// checkVault refuses a key that did not seal the token of the folder's own account, and to
// make a key for a log that has secrets already.
func (f folder) checkVault(ctx context.Context, log store.StreamReader, account string) error {
	sealed, err := lastSealed(ctx, log, account)
	if err != nil || sealed == "" {
		return err
	}
	path := f.path("secrets", vaultKey)
	way := "bring it back from a backup; if it is lost for good, parley account rotate " + account + " begins with another one, and API keys and credentials must be made anew"
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing, and the log has secrets that only it opens: %s", path, way)
	}
	vault, err := f.vault()
	if err != nil {
		return err
	}
	if _, err := vault.Unseal(sealed); errors.Is(err, seal.ErrSealed) {
		return fmt.Errorf("%s is not the key that the log's secrets were sealed with: %s", path, way)
	}
	return err
}

// lastSealed is the last token of an account, as it is in the log; empty: it never had one.
func lastSealed(ctx context.Context, log store.StreamReader, account string) (string, error) {
	for r, err := range log.ReadStream(ctx, events.Stream(events.CategoryAccount, account), store.End, store.Backwards) {
		if err != nil {
			return "", err
		}
		event, err := events.Vocabulary().Decode(r.Type, r.Data)
		if err != nil {
			return "", err
		}
		if set, is := event.(events.AccountAuthTokenSet); is && set.Sealed != "" {
			return set.Sealed, nil
		}
	}
	return "", nil
}

// checkAccount refuses an account that the log does not know though it knows others: all
// would be hidden from clients that name none. One whose first start was cut short is not
// in the log yet, and neither is another one.
func (f folder) checkAccount(ctx context.Context, log readLog, account string) error {
	path := f.path("account")
	const way = "put the SID back; parley event list --type account.created.v1 shows it"
	if !domain.IsSID("AC", account) {
		return fmt.Errorf("%s does not hold an account's SID: %s", path, way)
	}
	for _, err := range log.ReadStream(ctx, events.Stream(events.CategoryAccount, account), 0, store.Forwards) {
		return err
	}
	for r, err := range log.ReadAll(ctx, events.Position{}, store.Filter{Types: []string{events.AccountCreated{}.EventType()}}) {
		if err != nil {
			return err
		}
		_, other, _ := events.SplitStream(r.Stream)
		return fmt.Errorf("%s holds %s, which is not in the log; %s is: %s", path, account, other, way)
	}
	return nil
}

// checkIdentity is both, before anything is appended.
func (f folder) checkIdentity(ctx context.Context, log readLog, account string) error {
	if err := f.checkAccount(ctx, log, account); err != nil {
		return err
	}
	return f.checkVault(ctx, log, account)
}
