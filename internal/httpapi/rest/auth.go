package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/httpapi/accesstoken"
)

// caller is who a request comes from.
type caller struct {
	account  string // AC… whose credentials were shown
	service  string // IS… an access token is for; empty: the default one
	identity string // of an access token; empty: full rights
	apiKey   string // SK…, if one was used
}

func (c caller) actor() events.Actor {
	if c.identity != "" {
		return events.Actor{Kind: events.ActorUser, ID: c.identity}
	}
	return events.Actor{Kind: events.ActorAPI, ID: c.apiKey}
}

var unauthenticated = problem{status: http.StatusUnauthorized, code: 20003, message: "Authenticate"}

// authenticate finds out who asks: HTTP Basic with account SID and auth token or
// API key SID and secret, or an access token as a bearer (reference 1.2).
func (a *api) authenticate(r *http.Request) (caller, error) {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return a.bearer(r.Context(), token)
	}
	name, secret, ok := r.BasicAuth()
	if !ok {
		return caller{}, unauthenticated
	}
	account, err := a.Engine.Authenticate(r.Context(), name, secret)
	c := caller{account: account}
	if strings.HasPrefix(name, "SK") {
		c.apiKey = name
	}
	return c, err
}

func (a *api) bearer(ctx context.Context, token string) (caller, error) {
	claims, err := accesstoken.Verify(ctx, token, a.Now(), func(ctx context.Context, sid string) (string, []byte, error) {
		account, secret, ok, err := a.Engine.APIKeySecret(ctx, sid)
		if err == nil && !ok {
			err = accesstoken.ErrUnknownKey
		}
		return account, secret, err
	})
	var invalid *accesstoken.InvalidError
	if errors.As(err, &invalid) {
		return caller{}, problem{status: http.StatusUnauthorized, code: 20003, message: "Authenticate: " + invalid.Reason}
	}
	return caller{account: claims.Account, service: claims.Service, identity: claims.Identity}, err
}

// place finds where the request acts: the service of the path, or the default
// one of the account; for the account of the header Parley-Account, if that is a
// sub-account.
func (a *api) place(r *http.Request, c caller, inService bool) (engine.Place, error) {
	account := c.account
	if child := r.Header.Get("Parley-Account"); child != "" {
		if c.identity != "" {
			return engine.Place{}, forbidden("A user acts for no other account")
		}
		if err := a.Engine.ActFor(r.Context(), account, child); err != nil {
			return engine.Place{}, err
		}
		account = child
	}
	service := c.service
	if inService {
		service = r.PathValue("ChatServiceSid")
	}
	p, err := a.Engine.Place(r.Context(), account, service)
	if err != nil || c.identity == "" {
		return p, err
	}
	return a.confined(r, c, p)
}

// confined keeps a user within the service of its token.
func (a *api) confined(r *http.Request, c caller, p engine.Place) (engine.Place, error) {
	granted, err := a.Engine.Place(r.Context(), c.account, c.service)
	if err == nil && granted != p {
		err = notFound(r.URL.Path)
	}
	return p, err
}
