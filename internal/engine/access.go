package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/domain/apikey"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/reservation"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/events"
)

// Vault encrypts secrets with a key that is not in the log. The same secret seals
// to the same text, so that a repeated command is the same command.
type Vault interface {
	Seal(plaintext []byte) (string, error)
	Unseal(sealed string) ([]byte, error)
}

func accessOperations() []operation {
	return []operation{
		on("AC", false, runSetAuthToken),
		on("SK", true, runCreateAPIKey),
		on("SK", false, func(ctx context.Context, e *Engine, r *request, c apikey.ReplaceSecret) (_ Outcome, err error) {
			if c.Sealed, err = e.seal([]byte(c.Secret)); err != nil {
				return Outcome{}, err
			}
			return e.onAPIKey(ctx, r, func(s apikey.State) ([]events.Event, error) {
				c.At, c.Hash = r.at, secretHash(c.Secret)
				return apikey.Decide(s, c)
			})
		}),
		on("SK", false, func(ctx context.Context, e *Engine, r *request, c apikey.Revoke) (Outcome, error) {
			return e.onAPIKey(ctx, r, func(s apikey.State) ([]events.Event, error) {
				c.At = r.at
				return apikey.Decide(s, c)
			})
		}),
	}
}

func runSetAuthToken(ctx context.Context, e *Engine, r *request, c account.SetAuthToken) (_ Outcome, err error) {
	if c.Secret != "" {
		c.Hash = secretHash(c.Secret)
		if c.Sealed, err = e.seal([]byte(c.Secret)); err != nil {
			return Outcome{}, err
		}
	}
	return e.onAccount(ctx, r, func(s account.State) ([]events.Event, error) {
		c.At = r.at
		return account.Decide(s, c)
	})
}

func runCreateAPIKey(ctx context.Context, e *Engine, r *request, c apikey.Create) (_ Outcome, err error) {
	if err := e.accountExists(ctx, r); err != nil {
		return Outcome{}, err
	}
	r.Aggregate = sidFor(r, "SK", firstOf(r.Aggregate, c.Sid))
	c.Account, c.Sid, c.Hash = r.Account, r.Aggregate, secretHash(c.Secret)
	if c.Sealed, err = e.seal([]byte(c.Secret)); err != nil {
		return Outcome{}, err
	}
	return e.apiKeys.transact(ctx, r, r.Aggregate, decision[apikey.State]{
		decide: func(s apikey.State) ([]events.Event, error) {
			c.At = r.at
			return apikey.Decide(s, c)
		},
	})
}

func (e *Engine) onAPIKey(ctx context.Context, r *request, decide func(apikey.State) ([]events.Event, error)) (Outcome, error) {
	r.Service = ""
	return e.apiKeys.transact(ctx, r, r.Aggregate, decision[apikey.State]{
		decide: func(s apikey.State) ([]events.Event, error) {
			if err := e.ownedBy(r, s.Account, "", "API key"); err != nil {
				return nil, err
			}
			return decide(s)
		},
	})
}

// accountExists settles the account of a command that creates something directly
// in it.
func (e *Engine) accountExists(ctx context.Context, r *request) error {
	r.Account, r.Service = firstOf(r.Account, e.options.DefaultAccount), ""
	var exists bool
	if err := e.accounts.glance(ctx, r.Account, func(s account.State) { exists = s.Exists() }); err != nil {
		return err
	}
	if !exists {
		return notFound("The requested account was not found")
	}
	return nil
}

func (e *Engine) seal(secret []byte) (string, error) {
	if e.options.Vault == nil {
		return "", domain.Refuse(domain.FailedPrecondition, "no_vault", "", 20500, "There is no key to keep secrets with")
	}
	return e.options.Vault.Seal(secret)
}

// secretHash is what the log keeps of a secret to recognise it by. Secrets are
// random and long (domain.CheckSecret), so a fast hash cannot be searched.
func secretHash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "sha256$" + hex.EncodeToString(sum[:])
}

func secretMatches(hash, secret string) bool {
	return subtle.ConstantTimeCompare([]byte(hash), []byte(secretHash(secret))) == 1
}

// Authenticate returns the account that a user name and a secret stand for:
// account SID and auth token, or API key SID and its secret (reference 1.2). Any
// mismatch is the same *Failure of KindUnauthenticated.
func (e *Engine) Authenticate(ctx context.Context, name, secret string) (accountSid string, err error) {
	var hash string
	switch {
	case domain.IsSID("AC", name):
		err = e.accounts.glance(ctx, name, func(s account.State) { accountSid, hash = s.Account, s.TokenHash })
	case domain.IsSID("SK", name):
		err = e.apiKeys.glance(ctx, name, func(s apikey.State) {
			if s.Exists() {
				accountSid, hash = s.Account, s.Hash
			}
		})
	}
	if err != nil {
		return "", AsFailure(err)
	}
	if !secretMatches(hash, secret) || accountSid == "" {
		return "", &Failure{Kind: KindUnauthenticated, Code: "unauthenticated", Twilio: 20003, Message: "Authenticate"}
	}
	return accountSid, nil
}

// APIKeySecret returns the account and the secret of an API key, for those who
// check what was signed with it. ok is false for a key that is not there.
func (e *Engine) APIKeySecret(ctx context.Context, sid string) (accountSid string, secret []byte, ok bool, err error) {
	if !domain.IsSID("SK", sid) || e.options.Vault == nil {
		return "", nil, false, nil
	}
	var sealed string
	if err := e.apiKeys.glance(ctx, sid, func(s apikey.State) {
		if ok = s.Exists(); ok {
			accountSid, sealed = s.Account, s.Sealed
		}
	}); err != nil || !ok {
		return "", nil, false, err
	}
	secret, err = e.options.Vault.Unseal(sealed)
	return accountSid, secret, err == nil, err
}

// Place is where somebody may act: an account and one of its services.
type Place struct{ Account, Service string }

// Place finds where an account acts. Without a service it is the account's default
// one. A service may also belong to one of the account's sub-accounts, which the
// account then acts for. Everything else is refused as not found.
func (e *Engine) Place(ctx context.Context, accountSid, serviceSid string) (Place, error) {
	p := Place{Account: accountSid, Service: serviceSid}
	if serviceSid == "" {
		var exists bool
		err := e.accounts.glance(ctx, accountSid, func(s account.State) { exists, p.Service = s.Exists(), s.DefaultService })
		if err != nil || exists {
			return p, asError(err)
		}
		return p, AsFailure(notFound("The requested account was not found"))
	}
	var owner string
	if domain.IsSID("IS", serviceSid) {
		if err := e.services.glance(ctx, serviceSid, func(s service.State) {
			if s.Exists() {
				owner = s.Account
			}
		}); err != nil {
			return p, AsFailure(err)
		}
	}
	if owner != "" && owner != accountSid {
		if err := e.ActFor(ctx, accountSid, owner); err != nil {
			owner = ""
		}
	}
	if owner == "" {
		return p, AsFailure(notFound("The requested service was not found"))
	}
	p.Account = owner
	return p, nil
}

// ActFor refuses, as not found, an account that is neither the one that acts nor
// one of its sub-accounts.
func (e *Engine) ActFor(ctx context.Context, acting, accountSid string) error {
	var allowed bool
	if domain.IsSID("AC", acting) && domain.IsSID("AC", accountSid) { // no account is the parent of all that have none
		err := e.accounts.glance(ctx, accountSid, func(s account.State) {
			allowed = s.Exists() && (s.Account == acting || s.Parent == acting)
		})
		if err != nil {
			return AsFailure(err)
		}
	}
	if !allowed {
		return AsFailure(notFound("The requested account was not found"))
	}
	return nil
}

// MayRead refuses whoever does not see a conversation (conversation.State.MayRead). One
// that is not there, or elsewhere, is not found; a user who is a stranger in the place
// is told the same of it as of one that is there.
func (e *Engine) MayRead(ctx context.Context, p Place, identity, conversationSid string) error {
	return e.mayKnow(ctx, p, identity, conversationSid, conversation.State.MayRead)
}

// MayJoin is MayRead for a command that adds who asks to the conversation: who made it
// may send that before he sees it.
func (e *Engine) MayJoin(ctx context.Context, p Place, identity, conversationSid string) error {
	return e.mayKnow(ctx, p, identity, conversationSid, func(s conversation.State, c domain.Caller) error {
		if s.MayJoin(c, identity) {
			return nil
		}
		return s.MayRead(c)
	})
}

func (e *Engine) mayKnow(ctx context.Context, p Place, identity, conversationSid string, may func(conversation.State, domain.Caller) error) error {
	r := request{Command: Command{Account: p.Account, Service: p.Service}}
	if identity != "" {
		r.Actor = events.Actor{Kind: events.ActorUser, ID: identity}
	}
	caller, err := e.caller(ctx, &r)
	if err != nil {
		return AsFailure(err)
	}
	refused := may(conversation.State{}, caller)
	if conversationSid == "" {
		return asError(refused)
	}
	look := func(s conversation.State) {
		if s.Account != p.Account || s.Service != p.Service {
			s = conversation.State{}
		}
		refused = may(s, caller)
	}
	err = e.conversations.glance(ctx, conversationSid, look)
	if err == nil && refused != nil && e.conversations.shared { // another node may have let him in
		err = e.conversations.view(ctx, conversationSid, look)
	}
	return asError(cmp.Or(err, refused))
}

func asError(err error) error {
	if failure := AsFailure(err); failure != nil {
		return failure
	}
	return nil
}

// ConversationSid returns the SID of a conversation of the place that is named by
// SID or unique name. It reads the log's truth, not a read model. A SID is
// returned as it is, whether there is such a conversation or not. For a name that
// stands for none it is empty: whether somebody may know that is MayRead's to say.
func (e *Engine) ConversationSid(ctx context.Context, p Place, ref string) (string, error) {
	if domain.IsSID("CH", ref) {
		return ref, nil
	}
	holder, err := e.holderOf(ctx, reservation.UniqueName, p.Service, ref)
	if err != nil || holder == "" {
		return "", asError(err)
	}
	var found bool
	err = e.conversations.glance(ctx, holder, func(s conversation.State) {
		found = !s.Removed() && s.UniqueName == ref && s.Service == p.Service
	})
	if !found {
		holder = ""
	}
	return holder, asError(err)
}

// UserSid returns the SID of a user of the place that is named by SID or identity,
// in the way of ConversationSid.
func (e *Engine) UserSid(ctx context.Context, p Place, ref string) (string, error) {
	if domain.IsSID("US", ref) {
		return ref, nil
	}
	sid, err := e.userOf(ctx, p.Service, ref)
	if err == nil && sid == "" {
		err = notFound("The requested user was not found")
	}
	return sid, asError(err)
}
