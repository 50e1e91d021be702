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
	switch sid {
	case "":
		return nil
	case other:
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

// GroupClaim is the claim of the set of numbers of a native group MMS within an
// account; the numbers may come in any order.
func GroupClaim(account string, numbers []string) Claim {
	m := members{}
	for _, n := range numbers {
		m[n] = n
	}
	return Claim{Kind: ClaimGroup, Scope: account, Value: m.value()}
}

// Member returns the participant of a native group MMS that has a number.
func (s State) Member(number string) (Participant, bool) {
	for _, p := range s.Participants {
		if number != "" && groupNumber(p.Binding) == number {
			return p, true
		}
	}
	return Participant{}, false
}

// IsGroup reports whether the conversation is a native group MMS.
func (s State) IsGroup() bool { return s.isGroup() }

// Delivery returns the status of a recipient's copy of a message, empty before any was
// heard; ok is false when conversation or message are gone, or it is no recipient.
func (s State) Delivery(message, participant string) (status string, ok bool) {
	m, there := s.message(message)
	if !there || s.Removed() {
		return "", false
	}
	for _, r := range m.Receipts {
		if r.To == s.number(participant) {
			return statuses[r.Status], true
		}
	}
	return "", false
}
