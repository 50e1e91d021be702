package media_test

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/media"
	"github.com/parley-engine/parley/events"
)

func TestDecide(t *testing.T) {
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	me, ac, is, hash := domain.SID("ME", "1"), domain.SID("AC", "1"), domain.SID("IS", "1"), strings.Repeat("ab", 32)
	created := events.MediaCreated{Media: me, Account: ac, Service: is, ContentType: "image/png", Filename: "a.png", Size: 7, SHA256: hash, Author: "ann", At: at}
	refused := func(name string, change func(*media.Create), code, field string, twilio int) row {
		c := media.Create{At: at, Account: ac, Service: is, Sid: me, ContentType: "image/png", Filename: "a.png", Size: 7, SHA256: hash}
		change(&c)
		return row{name: name, when: c, no: no{domain.InvalidArgument, code, field, twilio}}
	}
	run(t, []row{
		{name: "a file is there", when: media.Create{At: at, Account: ac, Service: is, Sid: me, ContentType: "image/png", Filename: "a.png", Size: 7, SHA256: hash, Author: "ann"},
			then: []events.Event{created}, again: no{domain.AlreadyExists, "media_exists", "sid", 20409}},
		refused("it has a type", func(c *media.Create) { c.ContentType = "" }, "media_type_invalid", "content_type", 50511),
		refused("that looks like one", func(c *media.Create) { c.ContentType = "text/html\r\nX: y" }, "media_type_invalid", "content_type", 50511),
		refused("a size has its limit", func(c *media.Create) { c.Size = media.MaxSize + 1 }, "media_too_large", "size", 50512),
		refused("and is not negative", func(c *media.Create) { c.Size = -1 }, "media_too_large", "size", 50512),
		refused("a hash is one", func(c *media.Create) { c.SHA256 = "../../etc" }, "sha256_invalid", "sha256", 20422),
		refused("a name is not a path", func(c *media.Create) { c.Filename = "../a" }, "filename_invalid", "filename", 20422),
		refused("a name has its limit", func(c *media.Create) { c.Filename = strings.Repeat("x", 257) }, "filename_too_long", "filename", 20422),
		refused("so has an author", func(c *media.Create) { c.Author = strings.Repeat("x", 257) }, "author_too_long", "author", 50310),
		{name: "it is removed", given: []events.Event{created}, when: media.Remove{At: at}, then: []events.Event{events.MediaRemoved{At: at}}, again: no{domain.NotFound, "media_not_found", "", 50507}},
		{name: "what was never there is not", when: media.Remove{At: at}, no: no{domain.NotFound, "media_not_found", "", 50507}},
	})
}
