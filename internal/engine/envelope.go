package engine

import (
	"fmt"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// maxText bounds the free texts of an envelope, in bytes.
const maxText = 512

// checkEnvelope refuses SIDs and texts of the wrong form, whatever the command.
func checkEnvelope(c Command, op operation) error {
	for _, sid := range []struct{ value, prefix, field string }{
		{c.Account, "AC", "account"},
		{c.Service, "IS", "service"},
		{c.Aggregate, op.prefix, "aggregate"},
	} {
		if sid.value != "" && !domain.IsSID(sid.prefix, sid.value) {
			return invalid("sid_malformed", sid.field, fmt.Sprintf("%s must be %s and 32 hex digits", sid.field, sid.prefix))
		}
	}
	if c.Aggregate == "" && !op.creates {
		return invalid("aggregate_missing", "aggregate", "The command must name the aggregate it is for")
	}
	for _, text := range []struct{ value, field string }{
		{c.Actor.ID, "actor.id"}, {c.Correlation, "correlation_id"}, {c.Causation, "causation_id"}, {c.Traceparent, "traceparent"},
	} {
		if err := domain.CheckText(text.value, text.field, 0); err != nil {
			return err
		}
		if len(text.value) > maxText {
			return invalid("too_long", text.field, fmt.Sprintf("%s must be at most %d bytes", text.field, maxText))
		}
	}
	return checkActor(c.Actor)
}

func checkActor(a events.Actor) error {
	switch a.Kind {
	case "", events.ActorAPI, events.ActorTimer, events.ActorChannel, events.ActorImport, events.ActorSystem, events.ActorParticipant:
		return nil
	case events.ActorUser:
		if a.ID == "" {
			return invalid("identity_missing", "actor.id", "An actor of kind user needs an identity")
		}
		return nil
	default:
		return invalid("actor_unknown", "actor.kind", fmt.Sprintf("%.32q is not a kind of actor", a.Kind))
	}
}
