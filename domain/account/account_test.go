package account_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/events"
)

var (
	at = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	ac = domain.SID("AC", "one")
	is = domain.SID("IS", "one")
	mg = domain.SID("MG", "one")

	created = []events.Event{
		events.AccountCreated{Account: ac, FriendlyName: "Shop", At: at},
		events.AccountConfigured{DefaultService: is, At: at},
	}
	numbered = append(created[:2:2], events.MessagingServiceAdded{MessagingService: mg, FriendlyName: "Numbers", Senders: []string{"+15550199"}, At: at})
	timed    = append(numbered[:3:3], events.AccountConfigured{
		DefaultService: is, DefaultMessagingService: mg, DefaultTimers: events.Timers{Inactive: "PT1H", Closed: "P1D"}, At: at,
	})
)

func ptr(s string) *string { return &s }

// configure is a Configure under Twilio's minima.
func configure(c account.Configure) account.Configure {
	c.At, c.MinInactiveTimer, c.MinClosedTimer = at, time.Minute, 10*time.Minute
	return c
}

func TestCreate(t *testing.T) {
	create := account.Create{At: at, Account: ac, DefaultService: is, FriendlyName: "Shop"}
	long := create
	long.FriendlyName = strings.Repeat("é", 257)
	exists := no{domain.AlreadyExists, "account_exists", "", 20409}
	run(t, []row{
		{name: "a new account has its default service", when: create, then: created, again: exists},
		{name: "an account that is there", given: created, when: create, no: exists},
		{name: "a name over 256 characters", when: long, no: no{domain.InvalidArgument, "friendly_name_too_long", "friendly_name", 50003}},
	})
}

func TestNothingIsDoneToAnAccountThatIsNotThere(t *testing.T) {
	missing := no{domain.NotFound, "account_not_found", "", 20404}
	run(t, []row{
		{name: "configure", when: configure(account.Configure{}), no: missing},
		{name: "add a messaging service", when: account.AddMessagingService{At: at, Sid: mg}, no: missing},
		{name: "set its token", when: account.SetAuthToken{At: at, Hash: "h", Secret: secret}, no: missing},
		{name: "configure webhooks", when: account.ConfigureWebhooks{At: at, Method: ptr("GET")}, no: missing},
	})
}

func TestConfigure(t *testing.T) {
	other := domain.SID("IS", "other")
	run(t, []row{
		{name: "nothing given, nothing done", given: created, when: configure(account.Configure{})},
		{name: "the same again", given: timed, when: configure(account.Configure{DefaultService: &is, ServiceOwned: true, DefaultMessagingService: &mg, DefaultInactiveTimer: ptr("PT1H")})},
		{name: "another default service", given: timed, when: configure(account.Configure{DefaultService: &other, ServiceOwned: true}),
			then: []events.Event{events.AccountConfigured{DefaultService: other, DefaultMessagingService: mg, DefaultTimers: events.Timers{Inactive: "PT1H", Closed: "P1D"}, At: at}}},
		{name: "a service of another account", given: created, when: configure(account.Configure{DefaultService: &other}),
			no: no{domain.NotFound, "service_not_found", "default_service", 50050}},
		{name: "a messaging service", given: numbered, when: configure(account.Configure{DefaultMessagingService: &mg}),
			then: []events.Event{events.AccountConfigured{DefaultService: is, DefaultMessagingService: mg, At: at}}},
		{name: "no messaging service any more", given: timed, when: configure(account.Configure{DefaultMessagingService: ptr("")}),
			then: []events.Event{events.AccountConfigured{DefaultService: is, DefaultTimers: events.Timers{Inactive: "PT1H", Closed: "P1D"}, At: at}}},
		{name: "a messaging service that is not there", given: created, when: configure(account.Configure{DefaultMessagingService: &mg}),
			no: no{domain.InvalidArgument, "messaging_service_invalid", "default_messaging_service", 50341}},
	})
}

func TestConfigureTimers(t *testing.T) {
	inactive := func(text string) account.Configure {
		return configure(account.Configure{DefaultInactiveTimer: &text})
	}
	closed := func(text string) account.Configure { return configure(account.Configure{DefaultClosedTimer: &text}) }
	set := func(timers events.Timers) []events.Event {
		return []events.Event{events.AccountConfigured{DefaultService: is, DefaultTimers: timers, At: at}}
	}
	invalid := func(code, field string, twilio int) no { return no{domain.InvalidArgument, code, field, twilio} }
	run(t, []row{
		{name: "the shortest allowed", given: created, when: configure(account.Configure{DefaultInactiveTimer: ptr("PT1M"), DefaultClosedTimer: ptr("PT10M")}),
			then: set(events.Timers{Inactive: "PT1M", Closed: "PT10M"})},
		{name: "a timer of no length that was not set", given: created, when: inactive("PT0S")},
		{name: "a timer of no length removes it", given: append(created[:2:2], set(events.Timers{Inactive: "PT1H", Closed: "P1D"})...), when: inactive("PT0S"),
			then: set(events.Timers{Closed: "P1D"})},
		{name: "too short for inactive", given: created, when: inactive("PT59S"), no: invalid("timer_too_short", "default_inactive_timer", 50375)},
		{name: "too short for closed", given: created, when: closed("PT9M59S"), no: invalid("timer_too_short", "default_closed_timer", 50376)},
		{name: "not a duration", given: created, when: inactive("1 hour"), no: invalid("timer_invalid", "default_inactive_timer", 50379)},
		{name: "not a duration at all", given: created, when: closed(""), no: invalid("timer_invalid", "default_closed_timer", 50380)},
		{name: "months", given: created, when: inactive("P1M"), no: invalid("timer_unit_invalid", "default_inactive_timer", 50379)},
		{name: "years", given: created, when: closed("P1Y"), no: invalid("timer_unit_invalid", "default_closed_timer", 50380)},
		{name: "a good and a bad one", given: created, when: configure(account.Configure{DefaultInactiveTimer: ptr("PT1H"), DefaultClosedTimer: ptr("x")}),
			no: invalid("timer_invalid", "default_closed_timer", 50380)},
	})
}

func TestAddMessagingService(t *testing.T) {
	add := func(name string, senders ...string) account.AddMessagingService {
		return account.AddMessagingService{At: at, Sid: mg, FriendlyName: name, Senders: senders}
	}
	added := func(name string, senders ...string) []events.Event {
		return []events.Event{events.MessagingServiceAdded{MessagingService: mg, FriendlyName: name, Senders: senders, At: at}}
	}
	sender := func(i int) no {
		return no{domain.InvalidArgument, "sender_invalid", fmt.Sprintf("senders[%d]", i), 50408}
	}
	run(t, []row{
		{name: "for any sender", given: created, when: add("Numbers"), then: added("Numbers")},
		{name: "with senders", given: created, when: add("Numbers", "+15550199", "whatsapp:+15550199"), then: added("Numbers", "+15550199", "whatsapp:+15550199")},
		{name: "the same again", given: numbered, when: add("Numbers", "+15550199")},
		{name: "other senders", given: numbered, when: add("Numbers", "+15550198"), then: added("Numbers", "+15550198")},
		{name: "another name", given: numbered, when: add("Others", "+15550199"), then: added("Others", "+15550199")},
		{name: "an empty sender", given: created, when: add("Numbers", "+15550199", ""), no: sender(1)},
		{name: "a sender over 256 characters", given: created, when: add("Numbers", strings.Repeat("1", 257)), no: sender(0)},
		{name: "a name over 256 characters", given: created, when: add(strings.Repeat("x", 257)), no: no{domain.InvalidArgument, "friendly_name_too_long", "friendly_name", 50003}},
	})
}

func TestStateKnowsItsMessagingServices(t *testing.T) {
	require.Empty(t, fold(created).Knows())
	require.Equal(t, map[string]bool{mg: true}, fold(numbered).Knows())
	require.Equal(t, []string{"+15550199"}, fold(numbered).MessagingServices[mg].Senders)
	require.False(t, account.State{}.Exists())
	require.True(t, fold(created).Exists())
}

func TestCommandsHaveNames(t *testing.T) {
	require.Equal(t, "account.create", account.Create{}.CommandType())
	require.Equal(t, "account.configure", account.Configure{}.CommandType())
	require.Equal(t, "account.add-messaging-service", account.AddMessagingService{}.CommandType())
}
