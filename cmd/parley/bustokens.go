package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/bus/access"
)

// busTokens is the file of the bus tokens besides bus-token, which opens everything.
func (f folder) busTokens() access.File { return access.File(f.path("secrets", "bus-tokens.json")) }

// changedTokens is where a running server hears, from the tool, that the file has
// changed; it answers when the change holds. No restricted token gets there.
const changedTokens = "_parley.bus-tokens" //nolint:gosec // a subject, not a secret

// changeAnswer is the answer.
type changeAnswer struct {
	Closed int    `json:"closed"` // connections
	Error  string `json:"error,omitempty"`
}

// lookForTokens is how often a server looks at the file by itself, and at the consumers.
const lookForTokens = time.Second

// followTokens keeps the broker to the tokens of the file until ctx ends.
func (v *server) followTokens(ctx context.Context) error {
	if v.broker == nil {
		return v.warnOfTokens()
	}
	followers, err := bus.NewFollowers(v.conn)
	if err != nil {
		return err
	}
	asked := make(chan *nats.Msg, 16)
	sub, err := v.conn.ChanSubscribe(changedTokens, asked)
	if err != nil {
		return fmt.Errorf("hear of bus tokens: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails when the connection is gone
	door := &tokenDoor{server: v, file: v.folder.busTokens(), followers: followers}
	door.look(ctx)
	tick := time.NewTicker(lookForTokens)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			door.look(ctx)
		case m := <-asked:
			door.answer(ctx, m)
		case <-ctx.Done():
			return nil
		}
	}
}

// warnOfTokens says that another broker knows nothing of tokens.
func (v *server) warnOfTokens() error {
	tokens, err := v.folder.busTokens().Tokens()
	if err != nil {
		return err
	}
	for i := range tokens {
		if tokens[i].Valid() {
			v.log.Warn("the folder has bus tokens, which another broker knows nothing of; see: parley bus token config")
			break
		}
	}
	return nil
}

// tokenDoor is what a server does about its file of tokens. One goroutine uses it.
type tokenDoor struct {
	server    *server
	file      access.File
	followers *bus.Followers
	tokens    []access.Token
	seen      fs.FileInfo // of the file that was read last; nil: none
	begun     bool
	problem   string // that was logged last
}

// look reads the file if it is another one, and sees to the consumers.
func (d *tokenDoor) look(ctx context.Context) {
	_, err := d.read(false)
	if err == nil {
		err = d.settle(ctx)
	}
	d.complain(err)
}

// complain logs a trouble once, until it is over or another one.
func (d *tokenDoor) complain(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != d.problem {
		d.server.log.Error("bus tokens are as they were before; what was changed since does not hold", "err", err)
	}
	d.problem = text
}

// read takes over what the file says, if it is another one or again is set.
func (d *tokenDoor) read(again bool) (closed int, err error) {
	info, err := os.Stat(string(d.file))
	if errors.Is(err, fs.ErrNotExist) {
		info, err = nil, nil
	}
	if err != nil || !again && d.begun && sameFile(d.seen, info) {
		return 0, err
	}
	tokens, err := d.file.Tokens()
	if err != nil {
		return 0, err
	}
	if closed, err = d.server.broker.Admit(tokens); err != nil {
		return 0, err
	}
	if d.begun {
		d.record(tokens, closed)
	}
	d.tokens, d.seen, d.begun = tokens, info, true
	return closed, nil
}

// sameFile reports whether nobody replaced or wrote the file meanwhile.
func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// record logs who changed what.
func (d *tokenDoor) record(tokens []access.Token, closed int) {
	valid := map[string]bool{}
	for i := range d.tokens {
		valid[d.tokens[i].ID] = d.tokens[i].Valid()
	}
	for i := range tokens {
		t := &tokens[i]
		switch before, known := valid[t.ID]; {
		case !known && t.Valid():
			d.server.log.Info("bus token was made", "token", t.ID, "roles", t.Roles, "account", t.Account, "actors", t.Actors, "by", t.CreatedBy, "at", t.Created)
		case before && !t.Valid():
			d.server.log.Info("bus token was revoked", "token", t.ID, "by", t.RevokedBy, "at", t.Revoked, "connections_closed", closed)
		}
	}
}

func (d *tokenDoor) settle(ctx context.Context) error {
	if len(d.tokens) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	made, err := d.followers.Settle(ctx, d.tokens)
	if made > 0 {
		d.server.log.Info("consumers for bus tokens were made", "consumers", made)
	}
	return unlessDone(ctx, err)
}

// answer tells the tool what came of its change.
func (d *tokenDoor) answer(ctx context.Context, m *nats.Msg) {
	closed, err := d.read(true)
	if err == nil {
		err = d.settle(ctx)
	}
	a := changeAnswer{Closed: closed}
	if err != nil {
		a.Error = oneLine(err)
	}
	body, err := json.Marshal(a)
	if err == nil {
		err = m.Respond(body)
	}
	if err != nil {
		d.server.log.Warn("the tool was not answered", "err", err)
	}
}

// changeTokens changes the file, one tool at a time, and has a running server hold to
// it. Told is false when none runs.
func (f folder) changeTokens(change func(access.File) error) (told bool, closed int, err error) {
	file := f.busTokens()
	if err := os.MkdirAll(f.path("secrets"), 0o700); err != nil {
		return false, 0, err
	}
	unlock, err := file.Lock()
	if err != nil {
		return false, 0, err
	}
	if err := errors.Join(change(file), unlock()); err != nil {
		return false, 0, err
	}
	closed, err = f.tellOfTokens()
	if errors.Is(err, errNoServer) {
		return false, 0, nil
	}
	return err == nil, closed, err
}

func (f folder) tellOfTokens() (closed int, err error) {
	err = withConn(f, func(conn *nats.Conn) error {
		reply, err := conn.Request(changedTokens, nil, 10*time.Second)
		if errors.Is(err, nats.ErrNoResponders) {
			return fmt.Errorf("%s: %w", f, errNoServer)
		}
		if err != nil {
			return fmt.Errorf("the change is in the file; whether the server holds to it is not known: %w", err)
		}
		var a changeAnswer
		if err := json.Unmarshal(reply.Data, &a); err != nil {
			return err
		}
		closed = a.Closed
		if a.Error != "" {
			return fmt.Errorf("the change is in the file, and the server cannot hold to it: %s", a.Error)
		}
		return nil
	})
	return closed, err
}

// whoAsks is what the record of a change says of who made it.
func whoAsks() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		return name
	}
	return strings.TrimSpace(name) + "@" + host
}
