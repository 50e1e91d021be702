package broker

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/parley-engine/parley/internal/bus/access"
)

// maxConnections bounds the connections of one restricted token.
const maxConnections = 128

// doorman lets clients in, each with what its token may do. It implements
// server.Authentication, for every listener there is.
type doorman struct {
	log    *slog.Logger
	owner  [2][sha256.Size]byte // of the configured token, and of the process's own secret
	loaded chan struct{}        // closed: tokens are known

	mu     sync.RWMutex
	server *server.Server
	pass   map[string]*pass // by token id
}

// pass is what a token's clients are registered with.
type pass struct {
	token   access.Token
	user    *server.User
	clients map[uint64]struct{} // that came in with it, some of them gone again; guarded by doorman.mu
}

// ownSecret is that of the process's own connections, the same for all servers it
// starts: a connection outlives one and is let in by the next.
var ownSecret = sync.OnceValue(func() string {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails
	return hex.EncodeToString(random)
})

func newDoorman(token string, log *slog.Logger) *doorman {
	d := &doorman{log: log, loaded: make(chan struct{}), pass: map[string]*pass{}}
	d.owner[0], d.owner[1] = sha256.Sum256([]byte(token)), sha256.Sum256([]byte(ownSecret()))
	return d
}

// Check implements server.Authentication.
func (d *doorman) Check(c server.ClientAuthentication) bool {
	presented := c.GetOpts().Token
	if c.Kind() != server.CLIENT || presented == "" {
		return false
	}
	if d.owns(presented) {
		c.RegisterUser(&server.User{Username: "parley"})
		return true
	}
	<-d.loaded // a start knows them in a moment
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.pass[access.IDOf(presented)]
	if p == nil || !p.token.Matches(presented) {
		return false
	}
	if !d.room(p) {
		d.log.Warn("a bus token has too many connections; one more was refused", "token", p.token.ID, "connections", maxConnections)
		return false
	}
	p.clients[c.GetID()] = struct{}{}
	c.RegisterUser(nobody)
	c.RegisterUser(p.user) // should that fail, which it does not say, the client stays nobody
	return true
}

// nobody may do nothing, in the account in which all clients begin: Parley's own.
var nobody = &server.User{Username: "nobody", Permissions: &server.Permissions{
	Publish: &server.SubjectPermission{Deny: []string{">"}}, Subscribe: &server.SubjectPermission{Deny: []string{">"}},
}}

// owns recognises who may do everything because the whole folder is his.
func (d *doorman) owns(presented string) bool {
	sum := sha256.Sum256([]byte(presented))
	configured := subtle.ConstantTimeCompare(sum[:], d.owner[0][:])
	own := subtle.ConstantTimeCompare(sum[:], d.owner[1][:])
	return configured|own == 1
}

// room reports whether one more client may come in, and forgets those that left.
func (d *doorman) room(p *pass) bool {
	if len(p.clients) < maxConnections {
		return true
	}
	for id := range p.clients {
		if d.server.GetClient(id) == nil {
			delete(p.clients, id)
		}
	}
	return len(p.clients) < maxConnections
}

// admit makes the valid ones of these tokens the only ones, besides the owner's, and
// closes the connections of those that no longer are. It returns how many were closed.
func (d *doorman) admit(tokens []access.Token) (closed int, err error) {
	next := make(map[string]*pass, len(tokens))
	d.mu.Lock()
	for _, t := range tokens {
		if p := d.pass[t.ID]; t.Valid() && p != nil {
			next[t.ID] = p // what a token may do never changes
		} else if t.Valid() {
			user, err := d.user(t)
			if err != nil {
				d.mu.Unlock()
				return 0, fmt.Errorf("bus token %s: %w", t.ID, err)
			}
			next[t.ID] = &pass{token: t, user: user, clients: map[uint64]struct{}{}}
		}
	}
	former := d.pass
	d.pass = next
	d.mu.Unlock()
	for id, p := range former {
		if next[id] == nil {
			closed += d.expel(p)
		}
	}
	return closed, nil
}

// expel closes the connections of a pass that nobody can use any more.
func (d *doorman) expel(p *pass) (closed int) {
	for id := range p.clients {
		if d.server.DisconnectClientByID(id) == nil {
			closed++
		}
	}
	return closed
}

// user is what clients of the token are to the server.
func (d *doorman) user(t access.Token) (*server.User, error) {
	if !t.Restricted() {
		return &server.User{Username: t.ID}, nil
	}
	rules := t.Rules()
	world, err := d.world(t.ID, rules)
	if err != nil {
		return nil, err
	}
	return &server.User{Username: t.ID, Account: world, Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: append([]string{}, rules.Publish...)},
		Subscribe: &server.SubjectPermission{Allow: rules.Subscribe},
	}}, nil
}

// world makes the token's own account on the server, with the routes out of it. One of
// a token that was revoked stays until the server stops; nobody can get into it.
func (d *doorman) world(name string, rules access.Rules) (*server.Account, error) {
	world, err := d.server.RegisterAccount(name)
	if err != nil {
		return nil, err
	}
	ours := d.server.GlobalAccount()
	for _, r := range rules.Requests {
		answers := server.Singleton
		if r.Many {
			answers = server.Streamed
		}
		if err := ours.AddServiceExportWithResponse(r.Outside, answers, []*server.Account{world}); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Outside, err)
		}
		if err := world.AddServiceImport(ours, r.Inside, r.Outside); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Inside, err)
		}
	}
	for _, r := range rules.Messages {
		if err := ours.AddStreamExport(r.Outside, []*server.Account{world}); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Outside, err)
		}
		if err := world.AddMappedStreamImport(ours, r.Outside, r.Inside); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Inside, err)
		}
	}
	return world, nil
}
