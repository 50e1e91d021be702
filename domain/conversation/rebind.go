package conversation

import (
	"cmp"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// removedText is what a client sends to take an address away (reference 1.9.10).
const removedText = "null"

// updateParticipant says what really changes. A command that only reports
// reading is a move of the read horizon and permitted where that is.
func updateParticipant(s State, c UpdateParticipant) ([]events.Event, error) {
	if err := s.found(); err != nil {
		return nil, err
	}
	p, ok := s.Participant(c.Participant)
	if err := cmp.Or(s.mayUpdateParticipant(c, p), s.permits(c.scope())); err != nil {
		return nil, err
	}
	if !ok {
		return nil, participantNotFound(c.Participant)
	}
	wanted, err := s.rebound(p, c)
	if err != nil {
		return nil, err
	}
	err = cmp.Or(checkAttributes(text(c.Attributes), maxPartAttributes), checkNewRole(c.Role, c.RoleType))
	if err != nil {
		return nil, err
	}
	reading, err := s.reading(p, c.LastReadIndex, c.LastReadTimestamp, c.At)
	if err != nil {
		return nil, err
	}
	return append(participantChanges(p, wanted, c), reading...), nil
}

func participantChanges(p, wanted Participant, c UpdateParticipant) []events.Event {
	d := dates{p.DateCreated, p.DateUpdated, c.DateCreated, c.DateUpdated}
	at, stamp := c.At, d.stamp(c.At)
	var es []events.Event
	if wanted.Identity != p.Identity || wanted.Binding != p.Binding {
		es = append(es, events.ParticipantBindingChanged{
			Participant: p.Sid, Identity: wanted.Identity, User: wanted.User, Binding: wanted.Binding, DateUpdated: stamp, At: at,
		})
	}
	if c.Attributes != nil && digest(*c.Attributes) != p.Attributes {
		es = append(es, events.ParticipantAttributesChanged{
			Participant: p.Sid, Attributes: attributes(*c.Attributes), DateUpdated: stamp, At: at,
		})
	}
	if c.Role != nil && *c.Role != p.Role {
		es = append(es, events.ParticipantRoleChanged{Participant: p.Sid, Role: *c.Role, DateUpdated: stamp, At: at})
	}
	if created, updated, needed := d.set(at, len(es) > 0); needed {
		es = append(es, events.ParticipantDatesSet{Participant: p.Sid, DateCreated: created, DateUpdated: updated, At: at})
	}
	return es
}

// scope of a command that only reports reading is that of reading.
func (c UpdateParticipant) scope() scope {
	if c.Identity != nil || c.ProxyAddress != nil || c.ProjectedAddress != nil || c.Attributes != nil || c.Role != nil ||
		!c.DateCreated.IsZero() || !c.DateUpdated.IsZero() {
		return whileOpen
	}
	return alsoClosed
}

func (s State) mayUpdateParticipant(c UpdateParticipant, p Participant) error {
	if c.Caller.Identity == "" {
		return nil
	}
	if c.Attributes != nil {
		mine := p.Identity == c.Caller.Identity
		if err := s.mayTouch(c.Caller, mine, editOwnParticipantAttributes, editAnyParticipantAttributes); err != nil {
			return err
		}
	}
	if c.LastReadIndex != nil || !c.LastReadTimestamp.IsZero() {
		if err := s.onlyHimself(c.Caller, p); err != nil {
			return err
		}
	}
	switch {
	case c.Role != nil:
		return domain.Refuse(domain.PermissionDenied, "role_not_settable", "role", 50205, "A user cannot give roles")
	case c.Identity != nil:
		return serverOnly(c.Caller, "identity", "set an identity")
	case c.ProxyAddress != nil:
		return serverOnly(c.Caller, "proxy_address", "set a proxy address")
	case c.ProjectedAddress != nil:
		return serverOnly(c.Caller, "projected_address", "set a projected address")
	}
	return checkDates(c.Caller, c.DateCreated, c.DateUpdated)
}

// rebound is the participant with the identity and addresses that are wanted.
func (s State) rebound(p Participant, c UpdateParticipant) (Participant, error) {
	was := p
	err := cmp.Or(p.project(c.ProjectedAddress), p.proxy(c.ProxyAddress), p.identify(was, c.Identity, c.User))
	if err != nil || p == was {
		return p, err
	}
	limits := c.Limits.WithDefaults()
	if p.Identity != was.Identity {
		err = s.checkIdentity(p, c.ParticipantFacts, limits)
	}
	return p, cmp.Or(err, s.checkBinding(p, c.ParticipantFacts, limits))
}

// identify gives an identity to a projected number that has none (50444).
func (p *Participant) identify(was Participant, identity *string, user string) error {
	switch {
	case identity == nil || *identity == was.Identity:
		return nil
	case was.Identity != "" || was.Binding.ProjectedAddress == "" || *identity == "":
		return domain.Refuse(domain.FailedPrecondition, "identity_not_changeable", "identity", 50444,
			"Only a projected address without an identity can be given one")
	}
	p.Identity, p.User = *identity, user
	return nil
}

// proxy adds, replaces or removes the proxy address (50440, 50441).
func (p *Participant) proxy(address *string) error {
	switch {
	case address == nil || *address == p.Binding.ProxyAddress && *address != "":
		return nil
	case *address == "":
		return invalid("proxy_address_empty", "proxy_address", 50412, "The proxy address is empty")
	case *address == removedText && p.Binding.ProxyAddress == "":
		return domain.Refuse(domain.FailedPrecondition, "proxy_address_not_removable", "proxy_address", 50440,
			"The participant has no proxy address")
	case *address == removedText:
		p.Binding.ProxyAddress = ""
		return nil
	case p.Binding.Address == "":
		return domain.Refuse(domain.FailedPrecondition, "proxy_address_not_addable", "proxy_address", 50441,
			"A proxy address can only be added to a participant with an address")
	}
	p.Binding.ProxyAddress = *address
	return nil
}

// project adds, replaces or removes the projected address (50442, 50443). What
// is nobody without it keeps it.
func (p *Participant) project(address *string) error {
	switch {
	case address == nil || *address == p.Binding.ProjectedAddress && *address != "":
		return nil
	case *address == removedText && (p.Binding.ProjectedAddress == "" || p.Identity == ""):
		return domain.Refuse(domain.FailedPrecondition, "projected_address_not_removable", "projected_address", 50443,
			"Only a chat participant's projected address can be removed")
	case *address == removedText:
		p.Binding = events.Binding{}
		return nil
	case p.Binding.Address != "" || *address == "":
		return domain.Refuse(domain.FailedPrecondition, "projected_address_not_addable", "projected_address", 50442,
			"A projected address can only be added to a chat participant")
	}
	p.Binding = events.Binding{Type: events.AddressType(*address), ProjectedAddress: *address}
	return nil
}
