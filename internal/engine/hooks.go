package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/events"
)

// ErrNoAuthToken says that an account has no auth token, or that there is no vault to
// read it with.
var ErrNoAuthToken = errors.New("the account has no auth token")

// Webhooks returns what an account's or a service's webhooks are: the service's own
// configuration, if it has one, stands in for the account's (reference 8.1). Empty
// names mean the defaults, as in a Command; the zero value is nobody listens. It is
// not to be changed.
func (e *Engine) Webhooks(ctx context.Context, accountSid, serviceSid string) (w events.WebhookConfiguration, err error) {
	var defaultService string
	if err := e.accounts.glance(ctx, firstOf(accountSid, e.options.DefaultAccount), func(s account.State) {
		w, defaultService = s.Webhooks, s.DefaultService
	}); err != nil {
		return w, AsFailure(err)
	}
	if serviceSid = firstOf(serviceSid, defaultService); serviceSid == "" {
		return w, nil
	}
	err = e.services.glance(ctx, serviceSid, func(s service.State) {
		if own := s.Webhooks; own.PreWebhookURL != "" || own.PostWebhookURL != "" || len(own.Filters) > 0 {
			w = own
		}
	})
	return w, asError(err)
}

// AuthToken returns the auth token of an account, for what is signed with it, or
// ErrNoAuthToken.
func (e *Engine) AuthToken(ctx context.Context, accountSid string) (string, error) {
	var sealed string
	err := e.accounts.glance(ctx, firstOf(accountSid, e.options.DefaultAccount), func(s account.State) { sealed = s.TokenSealed })
	if err != nil {
		return "", AsFailure(err)
	}
	if sealed == "" || e.options.Vault == nil {
		return "", ErrNoAuthToken
	}
	token, err := e.options.Vault.Unseal(sealed)
	if err != nil {
		return "", fmt.Errorf("auth token of %s: %w", accountSid, err)
	}
	return string(token), nil
}

// ConversationHooked reports whether a conversation has webhooks of its own, as far as
// this process knows.
func (e *Engine) ConversationHooked(ctx context.Context, sid string) (hooked bool, err error) {
	err = e.conversations.glance(ctx, sid, func(s conversation.State) { hooked = len(s.Webhooks) > 0 })
	return hooked, asError(err)
}
