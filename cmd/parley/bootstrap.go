package main

import (
	"context"
	"errors"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
)

// bootstrap makes the account of a folder, if it is not there. With simulate it also gets
// a Messaging Service of any numbers as its default: without one nobody outside chat can
// take part (50373), and there is no call of REST that makes one. It returns the SID of
// that one if it was made now.
//
// Each step is done again after a start that was cut off, and left out where somebody else
// has changed the account since.
func bootstrap(ctx context.Context, e *engine.Engine, accountSid string, simulate bool) (messagingService string, err error) {
	step := func(name string, after *int64, fields interface{ CommandType() string }) (engine.Outcome, error) {
		return e.Execute(ctx, engine.Command{
			ID: events.NameID("bootstrap " + name + accountSid), Type: fields.CommandType(), Aggregate: accountSid,
			Actor: events.Actor{Kind: events.ActorSystem}, Fields: fields, ExpectedRevision: after,
		})
	}
	made, err := step("", nil, account.Create{FriendlyName: "Parley"})
	if err != nil || !simulate {
		return "", unless(err, "account_exists")
	}
	sid := domain.SID("MG", "simulated "+accountSid)
	if made, err = step("messaging service ", &made.Revision, account.AddMessagingService{Sid: sid, FriendlyName: "Simulated carrier"}); err != nil {
		return "", unless(err, engine.KindVersionConflict)
	}
	made, err = step("configuration ", &made.Revision, account.Configure{DefaultMessagingService: &sid})
	if err != nil || made.Repeated {
		return "", unless(err, engine.KindVersionConflict)
	}
	return sid, nil
}

// unless is the error if it is not the failure with the code.
func unless(err error, code string) error {
	var failure *engine.Failure
	if errors.As(err, &failure) && failure.Code == code {
		return nil
	}
	return err
}
