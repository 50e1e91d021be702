package main

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"

	"github.com/google/uuid"

	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/seal"
)

// authToken is the file of the auth token of the folder's own account.
const authToken = "auth-token"

// vault keeps secrets with a key that is in the folder, not in the log.
func (f folder) vault() (engine.Vault, error) {
	text, err := f.random(vaultKey, seal.KeySize)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return seal.New(key)
}

// firstAuthToken gives the folder's account a token when it has none. The file is
// written last: while it is not there, another one is made.
func (f folder) firstAuthToken(ctx context.Context, e *engine.Engine, accountSid string) error {
	if _, err := os.Stat(f.path("secrets", authToken)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	token, err := randomHex(16)
	if err != nil {
		return err
	}
	set := account.SetAuthToken{Secret: token}
	_, err = e.Execute(ctx, engine.Command{
		ID: events.ID(uuid.New()), Type: set.CommandType(), Aggregate: accountSid, Account: accountSid,
		Actor: events.Actor{Kind: events.ActorSystem}, Fields: set,
	})
	if err != nil {
		return err
	}
	return f.keepAuthToken(token)
}

func (f folder) keepAuthToken(token string) error {
	return writeFile(f.path("secrets", authToken), []byte(token+"\n"))
}
