// Package address decides about address configurations: what becomes of a
// message to one of the account's own addresses (reference 1.9.3 and section 9).
package address

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// types of addresses.
var types = []string{"sms", "whatsapp", "messenger", "gbm", "email", "rcs", "apple", "chat"}

// State is an address configuration. The zero State does not exist.
type State struct {
	AddressConfiguration string
	Account              string
	Type                 string
	Address              string
	FriendlyName         string
	AutoCreation         events.AutoCreation
	Removed              bool
}

// Exists reports whether the configuration was created and not removed.
func (s State) Exists() bool { return s.AddressConfiguration != "" && !s.Removed }

// Command is something somebody wants of one configuration. Fields without a
// JSON name are put there by the engine.
type Command interface {
	CommandType() string
}

// AutoCreationPatch changes what is given of the autocreation.
type AutoCreationPatch struct {
	Enabled        *bool    `json:"enabled,omitempty"`
	Type           *string  `json:"type,omitempty" schema:"enum=webhook|studio|default"`
	Service        *string  `json:"service,omitempty" schema:"sid=IS"`
	WebhookURL     *string  `json:"webhook_url,omitempty"`
	WebhookMethod  *string  `json:"webhook_method,omitempty" schema:"enum=get|post"`
	WebhookFilters []string `json:"webhook_filters,omitempty"`
	StudioFlow     *string  `json:"studio_flow,omitempty" schema:"sid=FW"`
	StudioRetries  *int     `json:"studio_retries,omitempty"`
}

// Create begins the configuration of an address.
type Create struct {
	At           time.Time         `json:"-"`
	Account      string            `json:"-"`
	ServiceOwned bool              `json:"-"` // the given service belongs to the account
	Sid          string            `json:"sid,omitempty" schema:"sid=IG"`
	Type         string            `json:"type" schema:"required,enum=sms|whatsapp|messenger|gbm|email|rcs|apple|chat"`
	Address      string            `json:"address" schema:"required,max=256"`
	FriendlyName string            `json:"friendly_name,omitempty" schema:"max=256"`
	Country      string            `json:"country,omitempty" schema:"max=2"`
	AutoCreation AutoCreationPatch `json:"auto_creation,omitzero"`
}

// Update changes what is given.
type Update struct {
	At           time.Time         `json:"-"`
	ServiceOwned bool              `json:"-"`
	FriendlyName *string           `json:"friendly_name,omitempty" schema:"max=256"`
	AutoCreation AutoCreationPatch `json:"auto_creation,omitzero"`
}

// Remove ends the configuration.
type Remove struct {
	At time.Time `json:"-"`
}

// CommandType returns the name on the wire.
func (Create) CommandType() string { return "address.create" }

// CommandType returns the name on the wire.
func (Update) CommandType() string { return "address.update" }

// CommandType returns the name on the wire.
func (Remove) CommandType() string { return "address.remove" }

// Taken refuses an address that has a configuration.
func Taken() *domain.Refusal {
	return domain.Refuse(domain.AlreadyExists, "address_configured", "address", 20409, "The address has a configuration already")
}

// Decide turns a command into events, or refuses it with a *domain.Refusal.
func Decide(s State, c Command) ([]events.Event, error) {
	if create, ok := c.(Create); ok {
		return decideCreate(s, create)
	}
	if !s.Exists() {
		return nil, domain.Refuse(domain.NotFound, "address_configuration_not_found", "", 20404, "The address configuration was not found")
	}
	switch c := c.(type) {
	case Update:
		return decideUpdate(s, c)
	case Remove:
		return []events.Event{events.AddressConfigurationRemoved{At: c.At}}, nil
	default:
		panic(fmt.Sprintf("address: command %T", c))
	}
}

func decideCreate(s State, c Create) ([]events.Event, error) {
	if s.AddressConfiguration != "" {
		return nil, domain.Refuse(domain.AlreadyExists, "address_configuration_exists", "sid", 20409, "The configuration exists already")
	}
	c.Type = strings.ToLower(c.Type)
	auto := c.AutoCreation.apply(events.AutoCreation{})
	err := cmp.Or(
		checkAddress(c.Type, c.Address),
		domain.CheckLength(c.FriendlyName, 256, "friendly_name", 50003),
		checkCountry(c.Country),
		checkAutoCreation(auto, c.ServiceOwned),
		c.AutoCreation.checkUsed(auto.Type),
	)
	if err != nil {
		return nil, err
	}
	return []events.Event{events.AddressConfigurationCreated{
		AddressConfiguration: c.Sid, Account: c.Account, Type: c.Type, Address: c.Address,
		FriendlyName: c.FriendlyName, Country: strings.ToUpper(c.Country), AutoCreation: auto, At: c.At,
	}}, nil
}

func decideUpdate(s State, c Update) ([]events.Event, error) {
	next := events.AddressConfigurationUpdated{FriendlyName: s.FriendlyName, AutoCreation: c.AutoCreation.apply(s.AutoCreation), At: c.At}
	if c.FriendlyName != nil {
		next.FriendlyName = *c.FriendlyName
	}
	owned := c.ServiceOwned || next.AutoCreation.Service == s.AutoCreation.Service
	err := cmp.Or(
		domain.CheckLength(next.FriendlyName, 256, "friendly_name", 50003),
		checkAutoCreation(next.AutoCreation, owned),
		c.AutoCreation.checkUsed(next.AutoCreation.Type),
	)
	if err != nil || next.FriendlyName == s.FriendlyName && same(next.AutoCreation, s.AutoCreation) {
		return nil, err
	}
	return []events.Event{next}, nil
}

// checkAddress knows the shapes of phone numbers, WhatsApp and e-mail addresses;
// of other channels it asks for printable text.
func checkAddress(addressType, address string) error {
	switch {
	case addressType == "":
		return domain.Refuse(domain.InvalidArgument, "type_missing", "type", 20001, "An address configuration needs a type")
	case !slices.Contains(types, addressType):
		return domain.Refuse(domain.InvalidArgument, "type_invalid", "type", 20422, "%.40q is none of %s", addressType, strings.Join(types, ", "))
	case address == "":
		return domain.Refuse(domain.InvalidArgument, "address_missing", "address", 50411, "The address is empty")
	}
	number, whatsapp := strings.CutPrefix(address, "whatsapp:")
	wellFormed := len(address) <= 256 && domain.PlainAddress(address)
	switch addressType {
	case "sms":
		wellFormed = wellFormed && (phoneNumber(address) || digits(address, 3, 8))
	case "whatsapp":
		wellFormed = wellFormed && whatsapp && phoneNumber(number)
	case "email":
		wellFormed = wellFormed && domain.ValidEmail(address)
	}
	if !wellFormed {
		return domain.Refuse(domain.InvalidArgument, "address_invalid", "address", 50407, "%.300q is not an address of type %s", address, addressType)
	}
	return nil
}

func phoneNumber(s string) bool {
	return strings.HasPrefix(s, "+") && !strings.HasPrefix(s, "+0") && digits(s[1:], 4, 15)
}

func digits(s string, least, most int) bool {
	return len(s) >= least && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

func checkCountry(country string) error {
	letters := !strings.ContainsFunc(country, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
	if country != "" && (len(country) != 2 || !letters) {
		return domain.Refuse(domain.InvalidArgument, "country_invalid", "country", 20422, "A country is two letters of ISO 3166-1")
	}
	return nil
}

// Evolve is the next state. It owns its argument.
func Evolve(s State, e events.Event) State {
	switch e := e.(type) {
	case events.AddressConfigurationCreated:
		s = State{AddressConfiguration: e.AddressConfiguration, Account: e.Account, Type: e.Type, Address: e.Address,
			FriendlyName: e.FriendlyName, AutoCreation: e.AutoCreation}
	case events.AddressConfigurationUpdated:
		s.FriendlyName, s.AutoCreation = e.FriendlyName, e.AutoCreation
	case events.AddressConfigurationRemoved:
		s.Removed = true
	case events.ReservationLost: // only moves the revision
	default:
		panic(fmt.Sprintf("address: event %T", e))
	}
	return s
}
