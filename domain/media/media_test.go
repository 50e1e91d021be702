package media_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/media"
	"github.com/parley-engine/parley/events"
)

var (
	at  = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	ac  = domain.SID("AC", "one")
	is  = domain.SID("IS", "one")
	me  = domain.SID("ME", "one")
	sum = strings.Repeat("0af", 21) + "9"

	created = []events.Event{events.MediaCreated{
		Media: me, Account: ac, Service: is, ContentType: "image/png", Filename: "cat.png", Size: 3, SHA256: sum, Author: "ann", At: at,
	}}
	removed = append(created[:1:1], events.MediaRemoved{At: at})
	missing = no{domain.NotFound, "media_not_found", "", 50507}
)

func create(change func(*media.Create)) media.Create {
	c := media.Create{At: at, Account: ac, Service: is, Sid: me, ContentType: "image/png", Filename: "cat.png", Size: 3, SHA256: sum, Author: "ann"}
	change(&c)
	return c
}

func ofType(text string) media.Create { return create(func(c *media.Create) { c.ContentType = text }) }

func TestCreate(t *testing.T) {
	exists := no{domain.AlreadyExists, "media_exists", "sid", 20409}
	invalid := func(code, field string, twilio int) no { return no{domain.InvalidArgument, code, field, twilio} }
	like := func(change func(*events.MediaCreated)) []events.Event {
		e := created[0].(events.MediaCreated)
		change(&e)
		return []events.Event{e}
	}
	named := func(text string) media.Create { return create(func(c *media.Create) { c.Filename = text }) }
	hashed := func(text string) media.Create { return create(func(c *media.Create) { c.SHA256 = text }) }
	sized := func(size int64) media.Create { return create(func(c *media.Create) { c.Size = size }) }
	badType, badName := invalid("media_type_invalid", "content_type", 50511), invalid("filename_invalid", "filename", 20422)
	badSum, badSize := invalid("sha256_invalid", "sha256", 20422), invalid("media_too_large", "size", 50512)
	longest := strings.Repeat("x", 127) + "/" + strings.Repeat("y", 127)
	run(t, []row{
		{name: "a file", when: create(func(*media.Create) {}), then: created, again: exists},
		{name: "a file of no name and nobody", when: create(func(c *media.Create) { c.Filename, c.Author = "", "" }), then: like(func(e *events.MediaCreated) { e.Filename, e.Author = "", "" }), again: exists},
		{name: "an empty file", when: sized(0), then: like(func(e *events.MediaCreated) { e.Size = 0 }), again: exists},
		{name: "the largest file", when: sized(media.MaxSize), then: like(func(e *events.MediaCreated) { e.Size = 150 << 20 }), again: exists},
		{name: "a type with a parameter", when: ofType("text/plain; charset=utf-8"), then: like(func(e *events.MediaCreated) { e.ContentType = "text/plain; charset=utf-8" }), again: exists},
		{name: "the longest type", when: ofType(longest), then: like(func(e *events.MediaCreated) { e.ContentType = longest }), again: exists},
		{name: "the longest name", when: named(strings.Repeat("é", 256)), then: like(func(e *events.MediaCreated) { e.Filename = strings.Repeat("é", 256) }), again: exists},
		{name: "a file that is there", given: created, when: ofType("image/gif"), no: exists},
		{name: "a file that was removed does not come back", given: removed, when: ofType("image/png"), no: exists},
		{name: "no type", when: ofType(""), no: badType},
		{name: "half a type", when: ofType("image"), no: badType},
		{name: "a type of no kind", when: ofType("image/"), no: badType},
		{name: "a type of three parts", when: ofType("image/png/x"), no: badType},
		{name: "a type with another header in it", when: ofType("image/png\r\nX-Evil: 1"), no: badType},
		{name: "a type with one in its parameter", when: ofType("image/png;a\nb"), no: badType},
		{name: "a type with a line end", when: ofType("image/png\n"), no: badType},
		{name: "a type too long", when: ofType("x" + longest), no: badType},
		{name: "less than nothing", when: sized(-1), no: badSize},
		{name: "a byte too many", when: sized(media.MaxSize + 1), no: badSize},
		{name: "no hash", when: hashed(""), no: badSum},
		{name: "a hash in capitals", when: hashed(strings.ToUpper(sum)), no: badSum},
		{name: "a short hash", when: hashed(sum[1:]), no: badSum},
		{name: "a long hash", when: hashed(sum + "0"), no: badSum},
		{name: "a hash that leads elsewhere", when: hashed("../" + sum[3:]), no: badSum},
		{name: "a path", when: named("../cat.png"), no: badName},
		{name: "a path of Windows", when: named(`..\cat.png`), no: badName},
		{name: "a name with a line end", when: named("cat\n.png"), no: badName},
		{name: "a name with NUL", when: named("cat.png\x00.exe"), no: badName},
		{name: "a name over 256 characters", when: named(strings.Repeat("x", 257)), no: invalid("filename_too_long", "filename", 20422)},
		{name: "an author over 256 characters", when: create(func(c *media.Create) { c.Author = strings.Repeat("x", 257) }), no: invalid("author_too_long", "author", 50310)},
	})
	require.Equal(t, media.State{Media: me, Account: ac, Service: is, ContentType: "image/png", Filename: "cat.png", Size: 3, SHA256: sum, Author: "ann"}, fold(created))
}

// A parameter may be of any length that is left of 256 characters.
func TestATypeIsAtMost256CharactersLong(t *testing.T) {
	longest := "text/plain; x=" + strings.Repeat("y", 242)
	_, err := media.Decide(media.State{}, ofType(longest))
	require.NoError(t, err)
	_, err = media.Decide(media.State{}, ofType(longest+"y"))
	requireRefusal(t, no{domain.InvalidArgument, "media_type_invalid", "content_type", 50511}, err)
}

func TestRemove(t *testing.T) {
	run(t, []row{
		{name: "a file", given: created, when: media.Remove{At: at}, then: removed[1:], again: missing},
		{name: "a file that is not there", when: media.Remove{At: at}, no: missing},
	})
	require.True(t, fold(created).Exists())
	require.False(t, fold(removed).Exists())
}

func TestNotFoundNamesTheField(t *testing.T) {
	requireRefusal(t, no{domain.NotFound, "media_not_found", "media.0.media", 50507}, media.NotFound(me, "media.0.media"))
}

func TestCommandsHaveNames(t *testing.T) {
	require.Equal(t, "media.create", media.Create{}.CommandType())
	require.Equal(t, "media.remove", media.Remove{}.CommandType())
}
