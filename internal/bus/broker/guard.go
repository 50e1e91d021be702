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

// guard lets clients in, each with what its token may do. It implements
// server.Authentication, for every listener there is.
type guard struct {
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
	clients map[uint64]struct{} // that came in with it, some of them gone again; guarded by guard.mu
}

// ownSecret is that of the process's own connections, the same for all servers it
// starts: a connection outlives one and is let in by the next.
var ownSecret = sync.OnceValue(func() string {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails
	return hex.EncodeToString(random)
})

func newGuard(token string, log *slog.Logger) *guard {
	g := &guard{log: log, loaded: make(chan struct{}), pass: map[string]*pass{}}
	g.owner[0], g.owner[1] = sha256.Sum256([]byte(token)), sha256.Sum256([]byte(ownSecret()))
	return g
}

// Check implements server.Authentication.
func (g *guard) Check(c server.ClientAuthentication) bool {
	presented := c.GetOpts().Token
	if c.Kind() != server.CLIENT || presented == "" {
		return false
	}
	if g.owns(presented) {
		c.RegisterUser(&server.User{Username: "parley"})
		return true
	}
	<-g.loaded // a start knows them in a moment
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.pass[access.IDOf(presented)]
	if p == nil || !p.token.Matches(presented) {
		return false
	}
	if !g.room(p) {
		g.log.Warn("a bus token has too many connections; one more was refused", "token", p.token.ID, "connections", maxConnections)
		return false
	}
	p.clients[c.GetID()] = struct{}{}
	c.RegisterUser(p.user)
	return true
}

// owns recognises who may do everything because the whole folder is his.
func (g *guard) owns(presented string) bool {
	sum := sha256.Sum256([]byte(presented))
	configured := subtle.ConstantTimeCompare(sum[:], g.owner[0][:])
	own := subtle.ConstantTimeCompare(sum[:], g.owner[1][:])
	return configured|own == 1
}

// room reports whether one more client may come in, and forgets those that left.
func (g *guard) room(p *pass) bool {
	if len(p.clients) < maxConnections {
		return true
	}
	for id := range p.clients {
		if g.server.GetClient(id) == nil {
			delete(p.clients, id)
		}
	}
	return len(p.clients) < maxConnections
}

// admit makes the valid ones of these tokens the only ones, besides the owner's, and
// closes the connections of those that no longer are. It returns how many were closed.
func (g *guard) admit(tokens []access.Token) (closed int, err error) {
	next := make(map[string]*pass, len(tokens))
	g.mu.Lock()
	for _, t := range tokens {
		if p := g.pass[t.ID]; t.Valid() && p != nil {
			next[t.ID] = p // what a token may do never changes
		} else if t.Valid() {
			user, err := g.user(t)
			if err != nil {
				g.mu.Unlock()
				return 0, fmt.Errorf("bus token %s: %w", t.ID, err)
			}
			next[t.ID] = &pass{token: t, user: user, clients: map[uint64]struct{}{}}
		}
	}
	former := g.pass
	g.pass = next
	g.mu.Unlock()
	for id, p := range former {
		if next[id] == nil {
			closed += g.expel(p)
		}
	}
	return closed, nil
}

// expel closes the connections of a pass that nobody can use any more.
func (g *guard) expel(p *pass) (closed int) {
	for id := range p.clients {
		if g.server.DisconnectClientByID(id) == nil {
			closed++
		}
	}
	return closed
}

// user is what clients of the token are to the server.
func (g *guard) user(t access.Token) (*server.User, error) {
	if !t.Restricted() {
		return &server.User{Username: t.ID}, nil
	}
	rules := t.Rules()
	world, err := g.world(t.ID, rules)
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
func (g *guard) world(name string, rules access.Rules) (*server.Account, error) {
	world, err := g.server.RegisterAccount(name)
	if err != nil {
		return nil, err
	}
	ours := g.server.GlobalAccount()
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
