package engine

import (
	"context"

	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/domain/address"
	"github.com/parley-engine/parley/domain/apikey"
	"github.com/parley-engine/parley/domain/binding"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/credential"
	"github.com/parley-engine/parley/domain/media"
	"github.com/parley-engine/parley/domain/role"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/domain/user"
)

// Owner returns the account that an aggregate belongs to, or belonged to when it was
// removed; empty for one that never was, and for what is no SID of an aggregate. The
// error is a *Failure.
func (e *Engine) Owner(ctx context.Context, aggregate string) (accountSid string, err error) {
	if len(aggregate) < 2 {
		return "", nil
	}
	switch aggregate[:2] {
	case "CH":
		err = e.conversations.glance(ctx, aggregate, func(s conversation.State) { accountSid = s.Account })
	case "IS":
		err = e.services.glance(ctx, aggregate, func(s service.State) { accountSid = s.Account })
	case "US":
		err = e.users.glance(ctx, aggregate, func(s user.State) { accountSid = s.Account })
	case "RL":
		err = e.roles.glance(ctx, aggregate, func(s role.State) { accountSid = s.Account })
	case "AC":
		err = e.accounts.glance(ctx, aggregate, func(s account.State) { accountSid = s.Account })
	case "SK":
		err = e.apiKeys.glance(ctx, aggregate, func(s apikey.State) { accountSid = s.Account })
	case "CR":
		err = e.credentials.glance(ctx, aggregate, func(s credential.State) { accountSid = s.Account })
	case "BS":
		err = e.bindings.glance(ctx, aggregate, func(s binding.State) { accountSid = s.Account })
	case "IG":
		err = e.addresses.glance(ctx, aggregate, func(s address.State) { accountSid = s.Account })
	case "ME":
		err = e.media.glance(ctx, aggregate, func(s media.State) { accountSid = s.Account })
	}
	return accountSid, asError(err)
}
