package conversation_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

func TestAddMessage(t *testing.T) {
	given := history(created(), chat(1, "ann"), sms(2, alice, proxy), sms(3, bob, proxy))
	hx := domain.SID("HX", "1")
	me := func(n int) events.Media { return events.Media{Media: me(n), ContentType: "image/png", Size: 1} }
	send := func(change func(*conversation.AddMessage)) conversation.Command {
		c := conversation.AddMessage{Issue: by(2), Sid: im(5), Body: "hi"}
		change(&c)
		return c
	}
	ok := func(name string, given []events.Event, change func(*conversation.AddMessage), want func(*events.MessageAdded)) row {
		e := events.MessageAdded{Message: im(5), Author: "system", Body: "hi", Attributes: "{}", DateCreated: at(2), DateUpdated: at(2), At: at(2)}
		want(&e)
		return row{name: name, given: given, when: send(change), then: []events.Event{e}, again: exists("message_exists", "sid", 20409)}
	}
	refused := func(name string, change func(*conversation.AddMessage), r no) row {
		return row{name: name, given: given, when: send(change), no: r}
	}
	plain := func(*conversation.AddMessage) {}
	group := history(created(), native(1, alice), native(2, bob), projected(3, "ann", proxy), projected(4, "", proxy2))

	run(t, []row{
		ok("without an author it is the system's and goes to everybody outside chat", given, plain, func(e *events.MessageAdded) { e.Recipients = []string{mb(2), mb(3)} }),
		ok("in a chat there are no recipients", created(), plain, func(*events.MessageAdded) {}),
		ok("an author by identity is that participant", given, func(c *conversation.AddMessage) { c.Author = "ann" }, func(e *events.MessageAdded) {
			e.Author, e.Participant, e.Recipients = "ann", mb(1), []string{mb(2), mb(3)}
		}),
		ok("an author by address does not get his own words", given, func(c *conversation.AddMessage) { c.Author = alice }, func(e *events.MessageAdded) {
			e.Author, e.Participant, e.Recipients = alice, mb(2), []string{mb(3)}
		}),
		ok("not even through another proxy", history(created(), sms(2, alice, proxy), sms(3, alice, proxy2)), func(c *conversation.AddMessage) { c.Author = alice }, func(e *events.MessageAdded) {
			e.Author, e.Participant = alice, mb(2)
		}),
		ok("any other author is nobody's", given, func(c *conversation.AddMessage) { c.Author = "a bot" }, func(e *events.MessageAdded) {
			e.Author, e.Recipients = "a bot", []string{mb(2), mb(3)}
		}),
		ok("an index is never used again", history(created(), posted(1, 0, "x", ""), posted(2, 7, "x", ""), erased(2)), plain, func(e *events.MessageAdded) { e.Index = 8 }),
		ok("media may come alone", created(), func(c *conversation.AddMessage) { c.Body, c.Media = "", []events.Media{me(1)} }, func(e *events.MessageAdded) {
			e.Body, e.Media = "", []events.Media{me(1)}
		}),
		ok("content stands in for body and media", created(), func(c *conversation.AddMessage) {
			c.Content, c.ContentVariables, c.Media = hx, `{"1":"x","2":3}`, []events.Media{me(1)}
		}, func(e *events.MessageAdded) { e.Body, e.Content, e.ContentVariables = "", hx, `{"1":"x","2":3}` }),
		ok("dates, subject and attributes are kept", created(), func(c *conversation.AddMessage) {
			c.DateCreated, c.Subject, c.Attributes = at(-5), "s", ` [1] `
		}, func(e *events.MessageAdded) {
			e.DateCreated, e.DateUpdated, e.Subject, e.Attributes = at(-5), at(-5), "s", ` [1] `
		}),
		ok("32 KiB of body are accepted", created(), func(c *conversation.AddMessage) { c.Body = strings.Repeat("x", 32<<10) }, func(e *events.MessageAdded) { e.Body = strings.Repeat("x", 32<<10) }),
		ok("in a group MMS a native member writes to the other native ones", group, func(c *conversation.AddMessage) { c.Author = alice }, func(e *events.MessageAdded) {
			e.Author, e.Participant, e.Recipients = alice, mb(1), []string{mb(2)}
		}),
		ok("a projected number may be the author", group, func(c *conversation.AddMessage) { c.Author = proxy2 }, func(e *events.MessageAdded) {
			e.Author, e.Participant, e.Recipients = proxy2, mb(4), []string{mb(1), mb(2)}
		}),

		{name: "in a group MMS others cannot write", given: group, when: send(plain), no: unready("author_not_in_group", "author", 50513)},
		refused("nothing in it", func(c *conversation.AddMessage) { c.Body = "" }, invalid("body_missing", "body", 50503)),
		refused("a body beyond 32 KiB", func(c *conversation.AddMessage) { c.Body = strings.Repeat("x", 32<<10+1) }, invalid("body_too_long", "body", 50504)),
		refused("a subject of two lines", func(c *conversation.AddMessage) { c.Subject = "Hi\nBcc: x" }, invalid("text_not_one_line", "subject", 0)),
		refused("a body that is not UTF-8", func(c *conversation.AddMessage) { c.Body = "\xff" }, invalid("text_invalid", "body", 50504)),
		refused("a long author", func(c *conversation.AddMessage) { c.Author = strings.Repeat("a", 257) }, invalid("author_too_long", "author", 50310)),
		refused("a long subject", func(c *conversation.AddMessage) { c.Subject = strings.Repeat("a", 257) }, invalid("subject_too_long", "subject", 0)),
		refused("attributes beyond 4 KiB", func(c *conversation.AddMessage) { c.Attributes = jsonOf(4<<10 + 1) }, invalid("attributes_too_long", "attributes", 50303)),
		refused("a SID of another kind", func(c *conversation.AddMessage) { c.Sid = ch }, invalid("sid_invalid", "sid", 50501)),
		refused("eleven media", func(c *conversation.AddMessage) { c.Media = make([]events.Media, 11) }, invalid("too_many_media", "media", 0)),
		refused("media without SID", func(c *conversation.AddMessage) { c.Media = []events.Media{{}} }, invalid("media_missing", "media.0.media", 50506)),
		refused("media with another SID", func(c *conversation.AddMessage) { c.Media = []events.Media{me(1), {Media: ch}} }, invalid("media_invalid", "media.1.media", 50510)),
		refused("media twice", func(c *conversation.AddMessage) { c.Media = []events.Media{me(1), me(1)} }, exists("media_attached", "media.1.media", 50508)),
		refused("media of no type", func(c *conversation.AddMessage) { c.Media = []events.Media{{Media: me(1).Media}} }, missing("media_not_found", "media.0.media", 50507)),
		refused("media that was removed, or is another service's", func(c *conversation.AddMessage) {
			c.Media, c.Uploaded = []events.Media{me(1)}, map[string]conversation.Upload{me(1).Media: {}}
		}, missing("media_not_found", "media.0.media", 50507)),
		refused("media too large", func(c *conversation.AddMessage) {
			c.Media = []events.Media{{Media: me(1).Media, ContentType: "a/b", Size: 150<<20 + 1}}
		}, invalid("media_too_large", "media.0.size", 50512)),
		refused("content that is no SID", func(c *conversation.AddMessage) { c.Content = "x" }, invalid("content_invalid", "content", 50526)),
		refused("variables that are no object", func(c *conversation.AddMessage) { c.Content, c.ContentVariables = hx, `["x"]` }, invalid("content_variables_invalid", "content_variables", 50527)),
		refused("variables that are null", func(c *conversation.AddMessage) { c.Content, c.ContentVariables = hx, `null` }, invalid("content_variables_invalid", "content_variables", 50527)),
		refused("variables without content", func(c *conversation.AddMessage) { c.ContentVariables = `{}` }, invalid("content_missing", "content", 50528)),
		refused("too many variables", func(c *conversation.AddMessage) { c.Content, c.ContentVariables = hx, variables(101, "x") }, invalid("too_many_content_variables", "content_variables", 50529)),
		refused("a long variable", func(c *conversation.AddMessage) {
			c.Content, c.ContentVariables = hx, variables(1, strings.Repeat("x", 257))
		}, invalid("content_variable_too_long", "content_variables", 50540)),
		refused("long variables together", func(c *conversation.AddMessage) {
			c.Content, c.ContentVariables = hx, strings.Repeat(" ", 27_801)+"{}"
		}, invalid("content_variables_too_long", "content_variables", 50541)),
	})
}

func variables(count int, value string) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, ",%q:%q", fmt.Sprint(i), value)
	}
	return "{" + b.String()[1:] + "}"
}

func erased(n int) []events.Event {
	return []events.Event{events.MessageRemoved{Message: im(n), At: t0}}
}

func TestEditMessage(t *testing.T) {
	given := history(created(), chat(1, "ann"), sms(2, alice, proxy), posted(1, 0, "ann", mb(1), mb(2)))
	media := history(created(), []events.Event{events.MessageAdded{Message: im(1), Author: "x", Media: []events.Media{{}}, DateCreated: t0, DateUpdated: t0, At: t0}})
	group := history(created(), native(1, alice), posted(1, 0, alice, mb(1)))
	notFound := missing("message_not_found", "message", 50500)
	run(t, []row{
		{name: "nothing given", given: given, when: conversation.EditMessage{Issue: by(1), Message: im(1)}},
		{name: "what is the same", given: given, when: conversation.EditMessage{
			Issue: by(1), Message: im(1), Author: ptr("ann"), Body: ptr("hello"), Attributes: ptr("{}"), Subject: ptr(""), DateCreated: t0, DateUpdated: t0,
		}},
		{name: "one event for each kind of change", given: given, when: conversation.EditMessage{
			Issue: by(1), Message: im(1), Author: ptr(alice), Body: ptr("bye"), Attributes: ptr("[]"), Subject: ptr("s"), DateCreated: at(-9), DateUpdated: at(-8),
		}, then: []events.Event{
			events.MessageAuthorChanged{Message: im(1), Author: alice, Participant: mb(2), DateUpdated: at(-8), At: at(1)},
			events.MessageBodyEdited{Message: im(1), Body: "bye", DateUpdated: at(-8), At: at(1)},
			events.MessageAttributesChanged{Message: im(1), Attributes: "[]", DateUpdated: at(-8), At: at(1)},
			events.MessageSubjectChanged{Message: im(1), Subject: "s", DateUpdated: at(-8), At: at(1)},
			events.MessageDatesSet{Message: im(1), DateCreated: at(-9), DateUpdated: at(-8), At: at(1)},
		}},
		{name: "DateUpdated alone", given: given, when: conversation.EditMessage{Issue: by(1), Message: im(1), DateUpdated: at(-8)},
			then: []events.Event{events.MessageDatesSet{Message: im(1), DateCreated: t0, DateUpdated: at(-8), At: at(1)}}},
		{name: "with media the body may go, and adding one is an edit", given: media, when: conversation.EditMessage{Issue: by(1), Message: im(1), Body: ptr("x")},
			then: []events.Event{events.MessageBodyEdited{Message: im(1), Body: "x", DateUpdated: at(1), At: at(1)}}},
		{name: "no body where there is nothing else", given: given, when: conversation.EditMessage{Message: im(1), Body: ptr("")}, no: invalid("body_missing", "body", 50503)},
		{name: "a long body", given: given, when: conversation.EditMessage{Message: im(1), Body: ptr(strings.Repeat("x", 32<<10+1))}, no: invalid("body_too_long", "body", 50504)},
		{name: "no author", given: given, when: conversation.EditMessage{Message: im(1), Author: ptr("")}, no: invalid("author_empty", "author", 50310)},
		{name: "an author from outside the group", given: group, when: conversation.EditMessage{Message: im(1), Author: ptr("x")}, no: unready("author_not_in_group", "author", 50513)},
		{name: "attributes that are not JSON", given: given, when: conversation.EditMessage{Message: im(1), Attributes: ptr("x")}, no: invalid("attributes_invalid", "attributes", 50304)},
		{name: "a message that is not there", given: given, when: conversation.EditMessage{Message: im(2), Body: ptr("x")}, no: notFound},
		{name: "a message that was removed", given: history(given, erased(1)), when: conversation.EditMessage{Message: im(1), Body: ptr("x")}, no: notFound},
	})
}

func TestRemoveMessage(t *testing.T) {
	given := history(created(), posted(1, 0, "x", ""))
	notFound := missing("message_not_found", "message", 50500)
	run(t, []row{
		{name: "it goes", given: given, when: conversation.RemoveMessage{Issue: by(1), Message: im(1)}, then: []events.Event{events.MessageRemoved{Message: im(1), At: at(1)}}, again: notFound},
		{name: "one that is not there", given: given, when: conversation.RemoveMessage{Issue: by(1), Message: im(2)}, no: notFound},
		{name: "its SID is not used again", given: history(given, erased(1)), when: conversation.AddMessage{Sid: im(1), Body: "b"}, no: exists("message_exists", "sid", 20409)},
	})
}

func TestOutcomeNamesWhatWasMade(t *testing.T) {
	for _, c := range []struct {
		name  string
		es    []events.Event
		sid   string
		index *int64
	}{
		{"nothing", nil, "", nil},
		{"a conversation", created(), ch, nil},
		{"a participant that woke it", history(chat(1, "ann"), moved("inactive", "active")), mb(1), nil},
		{"a message", posted(3, 12, "x", ""), im(3), ptr(int64(12))},
		{"a webhook", []events.Event{events.WebhookAdded{WebhookSid: wh(1)}}, wh(1), nil},
		{"a receipt", []events.Event{events.DeliveryUpdated{Receipt: "DY1"}}, "DY1", nil},
		{"a change", closed(), "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			sid, index := conversation.OutcomeOf(c.es)
			require.Equal(t, c.sid, sid)
			require.Equal(t, c.index, index)
		})
	}
}
