package conversation_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

func TestMediaOfAMessage(t *testing.T) {
	again := exists("message_exists", "sid", 20409)
	file := events.Media{Media: me(1), ContentType: "image/png", Filename: "cat.png", Size: 3}
	uploaded := map[string]conversation.Upload{me(1): {File: &file}}
	send := func(uploaded map[string]conversation.Upload, media ...events.Media) conversation.AddMessage {
		return conversation.AddMessage{Issue: by(2), Sid: im(5), Media: media, Uploaded: uploaded}
	}
	sent := func(given []events.Event, media ...events.Media) []events.Event {
		return []events.Event{events.MessageAdded{
			Message: im(5), Index: fold(given).NextIndex, Author: "system", Media: media, Attributes: "{}", DateCreated: at(2), DateUpdated: at(2), At: at(2),
		}}
	}
	missingAt := func(i int) no { return missing("media_not_found", fmt.Sprintf("media.%d.media", i), 50507) }
	attachedAt := func(i int) no { return exists("media_attached", fmt.Sprintf("media.%d.media", i), 50508) }
	imported := events.Media{Media: me(2), ContentType: "text/plain", Filename: strings.Repeat("é", 256), Size: 150 << 20}
	var ten []events.Media
	for i := range 10 {
		ten = append(ten, events.Media{Media: me(10 + i), ContentType: "a/b"})
	}
	once := history(created(), attached(1, me(1)))
	asUser := func(permissions ...string) conversation.AddMessage {
		c := send(uploaded, events.Media{Media: me(1)})
		c.Issue = user(2, "ann", nil, permissions)
		return c
	}
	anns := sent(created(), file)
	byAnn := anns[0].(events.MessageAdded)
	byAnn.Author, byAnn.Participant = "ann", mb(1)
	run(t, []row{
		{name: "an uploaded file is what it is", given: created(), when: send(uploaded, events.Media{Media: me(1)}), then: sent(created(), file), again: again},
		{name: "whatever the command says of it", given: created(), when: send(uploaded, events.Media{Media: me(1), ContentType: "x/y", Filename: "dog", Size: 1 << 40}), then: sent(created(), file), again: again},
		{name: "one that is elsewhere is as it is described", given: created(), when: send(nil, imported), then: sent(created(), imported), again: again},
		{name: "both kinds", given: created(), when: send(uploaded, imported, events.Media{Media: me(1)}), then: sent(created(), imported, file), again: again},
		{name: "ten", given: created(), when: send(nil, ten...), then: sent(created(), ten...), again: again},
		{name: "another file beside one that is attached", given: once, when: send(nil, imported), then: sent(once, imported), again: again},
		{name: "as a user who may send media", given: history(created(), chat(1, "ann")), when: asUser("sendMediaMessage"), then: []events.Event{byAnn}, again: again},

		{name: "one that is attached", given: once, when: send(uploaded, events.Media{Media: me(1)}), no: attachedAt(0)},
		{name: "one that was imported and is attached", given: once, when: send(nil, imported, events.Media{Media: me(1), ContentType: "a/b"}), no: attachedAt(1)},
		{name: "one that went with its message", given: history(once, erased(1)), when: send(uploaded, events.Media{Media: me(1)}), no: attachedAt(0)},
		{name: "one twice in a message", given: created(), when: send(uploaded, file, file), no: attachedAt(1)},
		{name: "one that was never uploaded, by SID alone", given: created(), when: send(nil, events.Media{Media: me(3)}), no: missingAt(0)},
		{name: "one that is gone, or another service's", given: created(), when: send(map[string]conversation.Upload{me(2): {}}, imported), no: missingAt(0)},
		{name: "a long name", given: created(), when: send(nil, events.Media{Media: me(1), ContentType: "a/b", Filename: strings.Repeat("x", 257)}), no: invalid("filename_too_long", "media.0.filename", 0)},
		{name: "less than nothing", given: created(), when: send(nil, events.Media{Media: me(1), ContentType: "a/b", Size: -1}), no: invalid("media_too_large", "media.0.size", 50512)},
		{name: "no type and no SID either", given: created(), when: send(nil, events.Media{Media: "x"}), no: invalid("media_invalid", "media.0.media", 50510)},
		{name: "of a conversation that is not there, whatever the media", when: send(nil, events.Media{Media: me(3)}), no: missing("conversation_not_found", "", 20404)},
		{name: "of a closed conversation, whatever the media", given: history(created(), closed()), when: send(nil, events.Media{Media: me(3)}), no: unready("conversation_closed", "", 50377)},
		{name: "as a user who may not, whatever the media", given: history(created(), chat(1, "ann")), when: func() conversation.Command {
			c := asUser("sendMessage")
			c.Uploaded = nil
			return c
		}(), no: forbidden("permission_denied", "", 50107)},
	})
}

func TestContentVariablesWithinTheirLimits(t *testing.T) {
	hx := domain.SID("HX", "1")
	most := variables(100, strings.Repeat("é", 256))
	most += strings.Repeat(" ", 27_801-utf8.RuneCountInString(most))
	for name, text := range map[string]string{
		"none":                         "",
		"an empty object":              "{}",
		"a hundred of the longest":     most,
		"the longest key":              fmt.Sprintf(`{%q:"x"}`, strings.Repeat("é", 16)),
		"numbers, truth and nothing":   `{"1":1.5,"2":true,"3":null}`,
		"an escape is one character":   `{"1":"` + strings.Repeat(`\u00e9`, 256) + `"}`,
		"an object is counted as text": `{"1":` + `{"a":"` + strings.Repeat("x", 248) + `"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			requireDone(t, fold(created()), conversation.AddMessage{Issue: by(1), Sid: im(1), Content: hx, ContentVariables: text})
		})
	}
	tooLong := invalid("content_variable_too_long", "content_variables", 50540)
	run(t, []row{
		{name: "a key too long", given: created(), when: conversation.AddMessage{Sid: im(1), Content: hx, ContentVariables: `{"` + strings.Repeat("x", 17) + `":""}`}, no: tooLong},
		{name: "an object too long", given: created(), when: conversation.AddMessage{Sid: im(1), Content: hx, ContentVariables: `{"1":{"a":"` + strings.Repeat("x", 249) + `"}}`}, no: tooLong},
		{name: "not JSON", given: created(), when: conversation.AddMessage{Sid: im(1), Content: hx, ContentVariables: `{"1":}`}, no: invalid("content_variables_invalid", "content_variables", 50527)},
		{name: "not UTF-8", given: created(), when: conversation.AddMessage{Sid: im(1), Content: hx, ContentVariables: "{\"1\":\"\xff\"}"}, no: invalid("content_variables_invalid", "content_variables", 50527)},
	})
}
