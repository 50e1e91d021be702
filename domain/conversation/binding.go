package conversation

import (
	"slices"
	"strings"
	"unicode"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// checkBinding refuses what participant p, new or changed, cannot be reached by
// (reference 3.1, 3.2 and 3.7).
func (s State) checkBinding(p Participant, facts ParticipantFacts, l Limits) error {
	b := p.Binding
	switch {
	case b == events.Binding{}:
		return s.checkPlain(p)
	case s.MessagingService == "":
		return domain.Refuse(domain.FailedPrecondition, "messaging_service_missing", "", 50373,
			"Conversation %s has no Messaging Service", s.Conversation)
	case b.ProxyAddress == "":
		return s.checkMember(p, facts, l)
	}
	if err := checkPair(b); err != nil {
		return err
	}
	if facts.Senders != nil && !slices.Contains(facts.Senders, b.ProxyAddress) {
		return foreignSender(b)
	}
	for _, other := range s.inOrder() {
		if other.Sid != p.Sid && pairValue(other.Binding) == pairValue(b) {
			return Taken(Claim{Kind: ClaimAddressPair}, s.Conversation)
		}
		if other.Sid != p.Sid && groupNumber(other.Binding) != "" {
			return mixed("proxy_address")
		}
	}
	return nil
}

// checkPair refuses an address and a proxy that do not fit each other.
func checkPair(b events.Binding) error {
	switch {
	case events.AddressType(b.Address) != events.AddressType(b.ProxyAddress):
		return invalid("channels_differ", "proxy_address", 50414, "Address and proxy address are of different channels")
	case b.Address == b.ProxyAddress:
		return invalid("address_equals_proxy", "proxy_address", 50409, "Address and proxy address are the same")
	case !validAddress(b.Address):
		return invalid("address_invalid", "address", 50407, "%.300q is not an address", b.Address)
	case b.Type == "sms" && alphanumericSender(b.ProxyAddress):
		return invalid("proxy_address_unsupported", "proxy_address", 50453, "Nobody can answer to %q", b.ProxyAddress)
	case !validAddress(b.ProxyAddress) && !shortCode(b.ProxyAddress):
		return invalid("proxy_address_invalid", "proxy_address", 50408, "%.300q is not a proxy address", b.ProxyAddress)
	}
	return nil
}

func foreignSender(b events.Binding) error {
	if b.Type == "whatsapp" {
		return invalid("proxy_address_not_whatsapp", "proxy_address", 50415, "%s is not a WhatsApp sender", b.ProxyAddress)
	}
	return domain.Refuse(domain.PermissionDenied, "proxy_address_foreign", "proxy_address", 50413,
		"%s is not a sender of the Messaging Service", b.ProxyAddress)
}

// checkPlain keeps chat participants without a number out of a group MMS.
func (s State) checkPlain(p Participant) error {
	for _, other := range s.Participants {
		if other.Sid != p.Sid && groupNumber(other.Binding) != "" {
			return projectionMissing()
		}
	}
	return nil
}

// checkMember checks who takes part in a native group MMS with a number.
func (s State) checkMember(p Participant, facts ParticipantFacts, l Limits) error {
	b := p.Binding
	field, number := "address", groupNumber(b)
	if b.ProjectedAddress != "" {
		field = "projected_address"
	}
	switch {
	case b.Address != "" && b.Type != "sms":
		return invalid("proxy_address_empty", "proxy_address", 50412, "The proxy address is empty")
	case !groupable(number):
		return invalid(field+"_invalid", field, 50407, "%.300q cannot take part in a group MMS", number)
	case !facts.GroupMMS:
		return domain.Refuse(domain.PermissionDenied, "group_mms_off", field, 50452, "Group MMS is not enabled for the account")
	case b.ProjectedAddress != "" && facts.Senders != nil && !slices.Contains(facts.Senders, number):
		return domain.Refuse(domain.PermissionDenied, "projected_address_foreign", field, 50439,
			"%s is not a sender of the Messaging Service", number)
	}
	return s.checkGroup(p, field, l)
}

// checkGroup checks the new member against the others.
func (s State) checkGroup(p Participant, field string, l Limits) error {
	size := 0
	for _, other := range s.inOrder() {
		switch number := groupNumber(other.Binding); {
		case other.Sid == p.Sid:
		case other.Binding == events.Binding{}:
			return projectionMissing()
		case number == "":
			return mixed(field)
		case number == groupNumber(p.Binding):
			return domain.Refuse(domain.AlreadyExists, "group_member_exists", field, 50437, "%s is in the group already", number)
		default:
			size++
		}
	}
	if size >= l.GroupSize {
		return domain.Refuse(domain.QuotaExceeded, "group_too_big", "", 50436, "A group has at most %d members", l.GroupSize)
	}
	return nil
}

func projectionMissing() error {
	return domain.Refuse(domain.FailedPrecondition, "projected_address_missing", "projected_address", 50434,
		"In a group MMS every chat participant needs a projected address")
}

func mixed(field string) error {
	return domain.Refuse(domain.FailedPrecondition, "group_mixed", field, 50435,
		"A group MMS has no participants with a proxy address")
}

// isGroup reports whether the conversation is a native group MMS.
func (s State) isGroup() bool {
	if s.Bound == 0 {
		return false
	}
	for _, p := range s.Participants {
		if groupNumber(p.Binding) != "" {
			return true
		}
	}
	return false
}

// validAddress knows the shapes of phone numbers, alone and behind whatsapp:, and of
// e-mail addresses. Of other channels it asks for a prefix of small letters and digits and
// a plain address behind it, so that a channel adapter may bring addresses of its own.
func validAddress(address string) bool {
	if len(address) > maxNameChars || !domain.PlainAddress(address) {
		return false
	}
	prefix, rest, found := strings.Cut(address, ":")
	switch {
	case !found && strings.Contains(address, "@"), prefix == "email":
		return domain.ValidEmail(strings.TrimPrefix(address, "email:"))
	case !found:
		return phoneNumber(address)
	case prefix == "whatsapp":
		return phoneNumber(rest)
	}
	return channelName(prefix) && prefix != "sms" && rest != ""
}

// channelName is what stands before the colon of an address.
func channelName(prefix string) bool {
	return prefix != "" && !strings.ContainsFunc(prefix, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' })
}

// phoneNumber is E.164: a plus and up to fifteen digits.
func phoneNumber(s string) bool {
	return len(s) >= 5 && len(s) <= 16 && s[0] == '+' && s[1] != '0' && digits(s[1:])
}

func shortCode(s string) bool { return len(s) >= 3 && len(s) <= 8 && digits(s) }

func digits(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// alphanumericSender is a name in place of a number; messages to it go nowhere.
func alphanumericSender(s string) bool {
	plain := !strings.ContainsFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != ' '
	})
	return len(s) > 0 && len(s) <= 11 && plain && !digits(s)
}

// groupable is a long code of the United States or Canada: no toll-free number
// and no short code (reference 3.7).
func groupable(number string) bool {
	return len(number) == 12 && strings.HasPrefix(number, "+1") && digits(number[2:]) && !tollFree(number[2:5])
}

func tollFree(area string) bool {
	return slices.Contains([]string{"800", "833", "844", "855", "866", "877", "888"}, area)
}
