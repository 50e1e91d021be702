package conversation

import (
	"cmp"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// linkSuccessor is for conversations that are closed: closed is final, and what the
// same people write next begins another one (reference 9.1).
func linkSuccessor(s State, c LinkSuccessor) ([]events.Event, error) {
	err := cmp.Or(s.found(), serverOnly(c.Caller, "", "link conversations"), checkPredecessor(c.Successor, s.Conversation))
	switch {
	case err != nil:
		return nil, err
	case s.State != events.StateClosed:
		return nil, domain.Refuse(domain.FailedPrecondition, "conversation_open", "", 0, "Conversation %s is not closed", s.Conversation)
	case s.Successor != "":
		return nil, nil
	}
	return []events.Event{events.ConversationSucceeded{Successor: c.Successor, At: c.At}}, nil
}

// checkPredecessor checks one end of a link; empty is none.
func checkPredecessor(sid, other string) error {
	switch {
	case sid == "":
		return nil
	case sid == other:
		return invalid("links_itself", "predecessor", 0, "A conversation does not go on from itself")
	}
	return checkSid("CH", sid, "predecessor", 0)
}

// PairOf returns the participant that has an address pair.
func (s State) PairOf(address, proxy string) (Participant, bool) {
	for _, p := range s.Participants {
		if p.Binding.Address == address && p.Binding.ProxyAddress == proxy {
			return p, true
		}
	}
	return Participant{}, false
}

// PairClaim is the claim of an address pair within an account.
func PairClaim(account, address, proxy string) Claim {
	return Claim{Kind: ClaimAddressPair, Scope: account, Value: pairValue(events.Binding{Address: address, ProxyAddress: proxy})}
}
