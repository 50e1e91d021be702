package conversation

import (
	"slices"
	"strings"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// Kinds of claims.
const (
	ClaimUniqueName  = "unique-name"  // within a service; Value is the name
	ClaimAddressPair = "address-pair" // within an account; Value is address, NUL, proxy address
	ClaimGroup       = "group"        // within an account; Value is the sorted numbers, joined by commas
	ClaimMedia       = "media"        // within a service; Value is ME…
)

// Claim is a value that only one conversation may hold at a time.
type Claim struct {
	Kind  string // one of the kinds above
	Scope string // IS… or AC… within which the value is unique
	Value string
	Ref   string // who holds it: MB… for a pair, IM… for media, else CH…
}

// Claims lists what the events, decided on before, need to hold.
func Claims(before State, es []events.Event) []Claim {
	if len(es) > 1 {
		if created, ok := es[0].(events.ConversationCreated); ok {
			return claimsOfNew(before.begin(created), es[1:])
		}
	}
	var claims []Claim
	for _, e := range es {
		switch e := e.(type) {
		case events.ConversationCreated:
			before = before.begin(e)
			claims = before.claimName(claims)
		case events.MessageAdded:
			claims = before.claimMedia(claims, e)
		case events.ConversationUniqueNameChanged:
			before.UniqueName = e.UniqueName
			claims = before.claimName(claims)
		case events.ParticipantAdded:
			claims = before.claimBinding(claims, e.Participant, e.Binding)
		case events.ParticipantBindingChanged:
			claims = before.claimBinding(claims, e.Participant, e.Binding)
		case events.ParticipantRemoved:
			claims = before.claimBinding(claims, e.Participant, events.Binding{})
		}
	}
	return claims
}

// claimsOfNew are those of a conversation that begins with people in it: of the
// sets of numbers it goes through only the last one counts.
func claimsOfNew(s State, es []events.Event) []Claim {
	claims := s.claimName(nil)
	for _, e := range es {
		if added, ok := e.(events.ParticipantAdded); ok {
			claims = slices.DeleteFunc(claims, func(c Claim) bool { return c.Kind == ClaimGroup })
			claims = s.claimBinding(claims, added.Participant, added.Binding)
		}
		s = Evolve(s, e)
	}
	return claims
}

func (s State) claimMedia(claims []Claim, e events.MessageAdded) []Claim {
	for _, m := range e.Media {
		claims = append(claims, Claim{Kind: ClaimMedia, Scope: s.Service, Value: m.Media, Ref: e.Message})
	}
	return claims
}

// claimBinding claims what a participant's new binding brings: its pair, and
// the set of numbers it becomes or was part of. No command changes more than
// one binding, so the state before all events is the one to compare with.
func (s State) claimBinding(claims []Claim, participant string, b events.Binding) []Claim {
	former := s.Participants[participant].Binding
	if value := pairValue(b); value != "" && value != pairValue(former) {
		claims = append(claims, Claim{Kind: ClaimAddressPair, Scope: s.Account, Value: value, Ref: participant})
	}
	if groupNumber(former) == groupNumber(b) || s.State == events.StateClosed {
		return claims
	}
	m := s.members().with(participant, b)
	if len(m) < minGroup {
		return claims
	}
	return append(claims, Claim{Kind: ClaimGroup, Scope: s.Account, Value: m.value(), Ref: s.Conversation})
}

func (s State) claimName(claims []Claim) []Claim {
	if s.UniqueName == "" {
		return claims
	}
	return append(claims, Claim{Kind: ClaimUniqueName, Scope: s.Service, Value: s.UniqueName, Ref: s.Conversation})
}

func pairValue(b events.Binding) string {
	if b.Address == "" || b.ProxyAddress == "" {
		return ""
	}
	return b.Address + "\x00" + b.ProxyAddress
}

// Holds reports whether the conversation holds what was claimed, in its present
// state: closing gives up pairs and groups but not the unique name, removing
// gives up everything (reference 2.3 and 3.2).
func (s State) Holds(c Claim) bool {
	if s.Removed() {
		return false
	}
	open := s.Exists() && s.State != events.StateClosed
	switch c.Kind {
	case ClaimUniqueName:
		return c.Value != "" && s.UniqueName == c.Value && s.Service == c.Scope && s.Conversation == c.Ref
	case ClaimAddressPair:
		return open && s.Account == c.Scope && s.hasPair(c.Value)
	case ClaimMedia:
		_, there := s.message(s.Media[c.Value])
		return there && s.Service == c.Scope
	case ClaimGroup:
		m := s.members()
		return open && s.Account == c.Scope && s.Conversation == c.Ref && len(m) >= minGroup && m.value() == c.Value
	}
	return false
}

// Attached reports whether a message of the conversation has or had the media.
// What was removed with its message is not attached again.
func (s State) Attached(media string) bool {
	_, attached := s.Media[media]
	return attached
}

// hasPair asks all participants, whichever of them the claim names: of two
// rivals in one conversation the loser may have claimed last.
func (s State) hasPair(value string) bool {
	for _, p := range s.Participants {
		if value != "" && pairValue(p.Binding) == value {
			return true
		}
	}
	return false
}

// Taken is the refusal for a claim that another conversation holds. Clients
// compare the first text and read the SID out of the second (reference 1.6).
func Taken(c Claim, holder string) *domain.Refusal {
	switch c.Kind {
	case ClaimUniqueName:
		return domain.Refuse(domain.AlreadyExists, "unique_name_taken", "unique_name", 50353,
			"Conversation with provided unique name already exists")
	case ClaimAddressPair:
		return domain.Refuse(domain.AlreadyExists, "address_pair_taken", "address", 50416,
			"A binding for this participant and proxy address already exists in Conversation %s", holder)
	case ClaimMedia:
		return mediaAttached(c.Value, "media")
	}
	return domain.Refuse(domain.AlreadyExists, "group_taken", "address", 50438,
		"A group with the same numbers is already open in Conversation %s", holder)
}

// members are the numbers of a native group MMS by participant.
type members map[string]string

func (s State) members() members {
	m := members{}
	for sid, p := range s.Participants {
		if number := groupNumber(p.Binding); number != "" {
			m[sid] = number
		}
	}
	return m
}

// groupNumber is the number a binding brings into a group MMS, empty for a
// binding that is not part of one.
func groupNumber(b events.Binding) string {
	if b.ProxyAddress != "" {
		return ""
	}
	return b.Address + b.ProjectedAddress
}

// with changes one member in place; no number removes it.
func (m members) with(participant string, b events.Binding) members {
	number := groupNumber(b)
	if number == "" {
		delete(m, participant)
		return m
	}
	m[participant] = number
	return m
}

func (m members) value() string {
	numbers := make([]string, 0, len(m))
	for _, n := range m {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return strings.Join(numbers, ",")
}

// OutcomeOf names what a command made: the SID of the conversation,
// participant, message, webhook or receipt, and the index of a message.
func OutcomeOf(es []events.Event) (sid string, index *int64) {
	for _, e := range es {
		switch e := e.(type) {
		case events.ConversationCreated:
			return e.Conversation, nil
		case events.ParticipantAdded:
			return e.Participant, nil
		case events.MessageAdded:
			return e.Message, &e.Index
		case events.WebhookAdded:
			return e.WebhookSid, nil
		case events.DeliveryUpdated:
			return e.Receipt, nil
		}
	}
	return "", nil
}
