package conversation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

func newConversation(change func(*conversation.Create)) conversation.Create {
	c := conversation.Create{
		Issue: by(0), Sid: ch, Account: ac, Service: is, DefaultMessagingService: mg,
		MessagingServices: map[string]bool{mg: true},
	}
	if change != nil {
		change(&c)
	}
	return c
}

func TestCreate(t *testing.T) {
	again := exists("conversation_exists", "sid", 20409)
	other := domain.SID("MG", "other")
	ok := func(name string, change func(*conversation.Create), want func(*events.ConversationCreated)) row {
		return row{name: name, when: newConversation(change), then: created(want), again: again}
	}
	refused := func(name string, change func(*conversation.Create), r no) row {
		return row{name: name, when: newConversation(change), no: r}
	}
	same := func(*events.ConversationCreated) {}
	asUser := func(identity string, permissions ...string) func(*conversation.Create) {
		return func(c *conversation.Create) { c.Issue = user(0, identity, permissions, nil) }
	}
	and := func(first, second func(*conversation.Create)) func(*conversation.Create) {
		return func(c *conversation.Create) { first(c); second(c) }
	}
	run(t, []row{
		ok("a conversation begins active with the account's Messaging Service and empty attributes", nil, same),
		ok("it may begin inactive, in any spelling", func(c *conversation.Create) { c.State = "InActive" }, inState("inactive")),
		ok("the Messaging Service given wins over the account's", func(c *conversation.Create) {
			c.MessagingService, c.MessagingServices = other, map[string]bool{other: true}
		}, func(e *events.ConversationCreated) { e.MessagingService = other }),
		ok("attributes are kept byte for byte", func(c *conversation.Create) { c.Attributes = ` {"b" : 1, "a":[ ]} ` },
			func(e *events.ConversationCreated) { e.Attributes = ` {"b" : 1, "a":[ ]} ` }),
		ok("attributes of exactly 16 KiB are accepted", func(c *conversation.Create) { c.Attributes = jsonOf(16 << 10) },
			func(e *events.ConversationCreated) { e.Attributes = jsonOf(16 << 10) }),
		ok("a friendly name of 256 characters is accepted, however many bytes", func(c *conversation.Create) { c.FriendlyName = strings.Repeat("ä", 256) },
			func(e *events.ConversationCreated) { e.FriendlyName = strings.Repeat("ä", 256) }),
		ok("client dates are honoured in UTC without milliseconds", func(c *conversation.Create) {
			c.DateCreated = time.Date(2020, 1, 2, 3, 4, 5, 678e6, time.FixedZone("", 2*3600))
		}, func(e *events.ConversationCreated) {
			e.DateCreated = time.Date(2020, 1, 2, 1, 4, 5, 0, time.UTC)
			e.DateUpdated = e.DateCreated
		}),
		ok("both dates may differ", func(c *conversation.Create) { c.DateCreated, c.DateUpdated = at(-60), at(-30) },
			func(e *events.ConversationCreated) { e.DateCreated, e.DateUpdated = at(-60), at(-30) }),
		ok("timers are kept as written", func(c *conversation.Create) { c.Timers = &events.Timers{Inactive: "PT60S", Closed: "P0DT10M"} }, withTimers("PT60S", "P0DT10M")),
		ok("the account's timers stand in for what is not given", func(c *conversation.Create) {
			c.Timers, c.DefaultTimers = &events.Timers{Inactive: "PT5M"}, events.Timers{Inactive: "P1D", Closed: "P30D"}
		}, withTimers("PT5M", "P30D")),
		ok("PT0S keeps the account's timer away", func(c *conversation.Create) {
			c.Timers, c.DefaultTimers = &events.Timers{Closed: "PT0S"}, events.Timers{Inactive: "P1D", Closed: "P30D"}
		}, withTimers("P1D", "")),
		ok("minima are settings", func(c *conversation.Create) {
			c.Timers = &events.Timers{Inactive: "PT1S", Closed: "PT2S"}
			c.Limits = conversation.Limits{MinInactiveTimer: time.Second, MinClosedTimer: time.Second}
		}, withTimers("PT1S", "PT2S")),
		ok("a user with the permission creates a plain one", asUser("ann", "createConversation"), func(e *events.ConversationCreated) { e.CreatedBy = "ann" }),

		refused("closed from the start", func(c *conversation.Create) { c.State = "closed" }, invalid("state_closed_at_creation", "state", 50384)),
		refused("initializing is not for clients", func(c *conversation.Create) { c.State = "initializing" }, invalid("state_invalid", "state", 50378)),
		refused("an unknown state", func(c *conversation.Create) { c.State = "open" }, invalid("state_invalid", "state", 50378)),
		refused("a unique name like a SID", func(c *conversation.Create) { c.UniqueName = ch }, invalid("unique_name_looks_like_sid", "unique_name", 50390)),
		refused("a unique name of 65 characters", func(c *conversation.Create) { c.UniqueName = strings.Repeat("u", 65) }, invalid("unique_name_too_long", "unique_name", 50004)),
		refused("a friendly name of 257 characters", func(c *conversation.Create) { c.FriendlyName = strings.Repeat("f", 257) }, invalid("friendly_name_too_long", "friendly_name", 50003)),
		refused("a text that is not UTF-8", func(c *conversation.Create) { c.FriendlyName = "\xff" }, invalid("text_invalid", "friendly_name", 50003)),
		refused("attributes that are not JSON", func(c *conversation.Create) { c.Attributes = "{" }, invalid("attributes_invalid", "attributes", 50304)),
		refused("attributes beyond 16 KiB", func(c *conversation.Create) { c.Attributes = jsonOf(16<<10 + 1) }, invalid("attributes_too_long", "attributes", 50303)),
		refused("a Messaging Service of nobody", func(c *conversation.Create) { c.MessagingService = other }, invalid("messaging_service_invalid", "messaging_service", 50341)),
		refused("an e-mail address of two lines", func(c *conversation.Create) { c.Email.Address = "a@example.org\nBcc: b@example.org" }, invalid("address_invalid", "email.address", 50407)),
		refused("an e-mail address with a space", func(c *conversation.Create) { c.Email.Address = "a b@example.org" }, invalid("address_invalid", "email.address", 50407)),
		refused("an e-mail address that is a path", func(c *conversation.Create) { c.Email.Address = "../../x" }, invalid("address_invalid", "email.address", 50407)),
		refused("an e-mail name of two lines", func(c *conversation.Create) { c.Email.Name = "Shop\nBcc: x" }, invalid("text_not_one_line", "email.name", 50407)),
		refused("a long e-mail name", func(c *conversation.Create) { c.Email.Name = strings.Repeat("n", 257) }, invalid("name_too_long", "email.name", 50407)),
		refused("a SID of another kind", func(c *conversation.Create) { c.Sid = is }, invalid("sid_invalid", "sid", 0)),
		refused("an inactive timer under a minute", timers("PT59S", ""), invalid("timer_too_short", "timers.inactive", 50375)),
		refused("a closed timer under ten minutes", timers("", "PT9M59S"), invalid("timer_too_short", "timers.closed", 50376)),
		refused("an inactive timer in months", timers("P1M", ""), invalid("timer_unit_invalid", "timers.inactive", 50379)),
		refused("a closed timer in years", timers("", "P1Y"), invalid("timer_unit_invalid", "timers.closed", 50380)),
		refused("a timer in weeks", timers("P1W", ""), invalid("timer_unit_invalid", "timers.inactive", 50379)),
		refused("a timer that is no duration", timers("", "600"), invalid("timer_invalid", "timers.closed", 50380)),
		refused("a timer beyond what can be counted", timers("P999999999D", ""), invalid("timer_invalid", "timers.inactive", 50379)),
		refused("a user without the permission", asUser("ann"), forbidden("permission_denied", "", 50107)),
		refused("a user who sets the state", and(asUser("ann", "createConversation"), func(c *conversation.Create) { c.State = "active" }), forbidden("server_side_only", "state", 50107)),
		refused("a user who sets timers", and(asUser("ann", "createConversation"), timers("PT1M", "")), forbidden("server_side_only", "timers", 50107)),
		refused("a user who attaches a Messaging Service", and(asUser("ann", "createConversation"), func(c *conversation.Create) { c.MessagingService = mg }), forbidden("server_side_only", "messaging_service", 50107)),
		refused("a user who sets an e-mail binding", and(asUser("ann", "createConversation"), func(c *conversation.Create) { c.Email.Name = "x" }), forbidden("server_side_only", "email", 50107)),
		refused("a user who sets dates", and(asUser("ann", "createConversation"), func(c *conversation.Create) { c.DateCreated = t0 }), forbidden("server_side_only", "date_created", 50107)),
		{name: "a removed conversation does not come back", given: history(created(), gone()), when: newConversation(nil), no: again},
	})
}

func timers(inactive, closed string) func(*conversation.Create) {
	return func(c *conversation.Create) { c.Timers = &events.Timers{Inactive: inactive, Closed: closed} }
}

// jsonOf is a JSON text of so many bytes.
func jsonOf(bytes int) string { return `"` + strings.Repeat("x", bytes-2) + `"` }
