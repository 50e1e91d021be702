package engine_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

var upload = fields{"content_type": "image/png", "filename": "cat.png", "size": 3, "sha256": strings.Repeat("0", 64)}

// withMedia is a message with a file that is named by its SID alone.
func withMedia(sid string) fields { return fields{"media": []fields{{"media": sid}}} }

func TestAFileIsAttachedOnce(t *testing.T) {
	d := openDesk(t)
	file := d.must("media.create", "", upload).Sid
	require.True(t, domain.IsSID("ME", file))
	first := d.must("conversation.create", "", fields{}).Sid
	second := d.must("conversation.create", "", fields{}).Sid
	attach := func(ch string) engine.Command { return command(t, "conversation.add-message", ch, withMedia(file)) }
	remove := command(t, "media.remove", file, fields{})

	send := attach(first)
	send.ID = events.NameID("send")
	sent, err := d.Execute(t.Context(), send)
	require.NoError(t, err)
	require.Equal(t, []events.Media{{Media: file, ContentType: "image/png", Filename: "cat.png", Size: 3}}, sent.Decided[0].(events.MessageAdded).Media)
	again, err := d.Execute(t.Context(), send)
	require.NoError(t, err)
	require.True(t, again.Repeated)
	require.Equal(t, sent.Sid, again.Sid)
	for _, ch := range []string{first, second} {
		require.Equal(t, 50508, d.refused("media_attached", attach(ch)).Twilio)
	}
	require.Equal(t, 50508, d.refused("media_attached", remove).Twilio)
	d.must("conversation.update", first, fields{"state": "closed"})
	require.Equal(t, 50508, d.refused("media_attached", remove).Twilio, "a closed conversation keeps its messages")
	d.must("conversation.remove-message", first, fields{"message": sent.Sid})

	require.Equal(t, 50508, d.refused("media_attached", attach(second)).Twilio, "what went with its message does not come back")
	d.must("media.remove", file, fields{})
	require.Equal(t, 50507, d.refused("media_not_found", attach(second)).Twilio)
	require.Equal(t, 50507, d.refused("media_not_found", remove).Twilio)
	d.refused("media_exists", command(t, "media.create", file, upload))
}

func TestAFileOfAConversationThatIsGoneIsRemoved(t *testing.T) {
	d := openDesk(t)
	file := d.must("media.create", "", upload).Sid
	ch := d.must("conversation.create", "", fields{}).Sid
	d.must("conversation.add-message", ch, withMedia(file))
	d.must("conversation.remove", ch, fields{})
	other := d.must("conversation.create", "", fields{}).Sid
	d.refused("media_attached", command(t, "conversation.add-message", other, withMedia(file)))
	require.Equal(t, []string{"media.removed.v1"}, d.must("media.remove", file, fields{}).Events)
}

func TestAFileIsAttachedInItsServiceOnly(t *testing.T) {
	d := openDesk(t)
	ch := d.must("conversation.create", "", fields{}).Sid
	other := d.must("service.create", "", fields{"friendly_name": "other"}).Sid
	there := command(t, "media.create", "", upload)
	there.Service = other
	elsewhere, err := d.Execute(t.Context(), there)
	require.NoError(t, err)
	stranger := domain.SID("AC", "stranger")
	d.must("account.create", stranger, fields{})
	there.Account, there.Service = stranger, ""
	foreign, err := d.Execute(t.Context(), there)
	require.NoError(t, err)

	for name, sid := range map[string]string{"of another service": elsewhere.Sid, "of another account": foreign.Sid, "never uploaded": domain.SID("ME", "never")} {
		t.Run(name, func(t *testing.T) {
			d.t = t
			failure := d.refused("media_not_found", command(t, "conversation.add-message", ch, withMedia(sid)))
			require.Equal(t, 50507, failure.Twilio)
			require.Equal(t, "media.0.media", failure.Field)
		})
	}
	d.t = t
	described := fields{"media": []fields{{"media": elsewhere.Sid, "content_type": "image/png"}}}
	require.Equal(t, 50507, d.refused("media_not_found", command(t, "conversation.add-message", ch, described)).Twilio, "whatever is said of it")
	remove := command(t, "media.remove", elsewhere.Sid, fields{})
	remove.Service = d.must("service.create", "", fields{"friendly_name": "third"}).Sid
	d.refused("not_found", remove)
	d.refused("not_found", command(t, "media.remove", foreign.Sid, fields{}))
	d.refused("not_found", command(t, "media.remove", domain.SID("ME", "never"), fields{}))
	d.must("media.remove", elsewhere.Sid, fields{})
}

func TestAFileThatWasNeverUploadedIsAttachedAsDescribed(t *testing.T) {
	d := openDesk(t)
	file := fields{"media": domain.SID("ME", "imported"), "content_type": "text/plain"}
	first := d.must("conversation.create", "", fields{}).Sid
	second := d.must("conversation.create", "", fields{}).Sid
	d.must("conversation.add-message", first, fields{"media": []fields{file}})
	require.Equal(t, 50508, d.refused("media_attached", command(t, "conversation.add-message", second, fields{"media": []fields{file}})).Twilio)
}

func TestUsersUploadAndOnlyTheServerRemoves(t *testing.T) {
	d := openDesk(t)
	create := command(t, "media.create", "", upload)
	create.Actor = events.Actor{Kind: events.ActorUser, ID: "alice"}
	file, err := d.Execute(t.Context(), create)
	require.NoError(t, err)
	other := command(t, "media.create", "", fields{"content_type": "image/png", "size": 5, "sha256": strings.Repeat("ab", 32), "author": "bob"})
	other.Actor = create.Actor
	require.Equal(t, 50107, d.refused("server_side_only", other).Twilio)
	for r, err := range d.log.ReadStream(t.Context(), "media-"+file.Sid, 1, store.Forwards) {
		require.NoError(t, err)
		require.Contains(t, string(r.Data), `"author":"alice"`, "a user uploads in his own name")
	}
	remove := command(t, "media.remove", file.Sid, fields{})
	remove.Actor = create.Actor
	require.Equal(t, 50107, d.refused("permission_denied", remove).Twilio)
}

// fileDesks are two nodes on one log; the first lets somebody in before it writes
// to a stream with the prefix.
func fileDesks(t *testing.T, prefix string) (slow, quick *desk, between *rival) {
	t.Helper()
	log := memstore.New()
	quick = newDesk(t, log)
	quick.must("account.create", account, fields{})
	between = &rival{Log: log, prefix: prefix}
	return newDesk(t, between), quick, between
}

func TestAFileThatIsRemovedWhileItIsBeingAttachedIsNotAttached(t *testing.T) {
	slow, quick, between := fileDesks(t, "conversation-")
	file := quick.must("media.create", "", upload).Sid
	ch := quick.must("conversation.create", "", fields{}).Sid
	between.before = func() { quick.must("media.remove", file, fields{}) }
	_, err := slow.Execute(t.Context(), command(t, "conversation.add-message", ch, withMedia(file)))
	require.Equal(t, 50507, engine.AsFailure(err).Twilio)
	require.Equal(t, []string{"media.created.v1", "media.removed.v1"}, quick.types(events.Stream(events.CategoryMedia, file)), "what has ended is not fenced")
}

func TestAFileThatIsAttachedWhileItIsBeingRemovedIsNotRemoved(t *testing.T) {
	slow, quick, between := fileDesks(t, "media-")
	file := quick.must("media.create", "", upload).Sid
	ch := quick.must("conversation.create", "", fields{}).Sid
	between.before = func() { quick.must("conversation.add-message", ch, withMedia(file)) }
	_, err := slow.Execute(t.Context(), command(t, "media.remove", file, fields{}))
	require.Equal(t, 50508, engine.AsFailure(err).Twilio)
	require.Equal(t, []string{"media.created.v1", "reservation.lost.v1"}, quick.types(events.Stream(events.CategoryMedia, file)))
}

func TestAFileIsEitherAttachedOnceOrRemoved(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 8
	}
	d := openDesk(t)
	nodes := []*desk{d, newDesk(t, d.log)}
	var talks []string
	for range 3 {
		talks = append(talks, d.must("conversation.create", "", fields{}).Sid)
	}
	var files []string
	for round := range rounds {
		file := nodes[round%2].must("media.create", "", upload).Sid
		files = append(files, file)
		var all sync.WaitGroup
		begin := make(chan struct{})
		for i := range 12 {
			c := command(t, "media.remove", file, fields{})
			c.Body = []byte("{" + strings.Repeat(" ", i) + "}") // for an id of its own
			if i%3 > 0 {
				c = command(t, "conversation.add-message", talks[(i+round)%len(talks)], fields{"body": fmt.Sprint(i), "media": []fields{{"media": file}}})
			}
			all.Go(func() {
				<-begin
				_, err := retrying(t.Context(), nodes[i/3%2].Engine, c)
				if failure := engine.AsFailure(err); failure != nil && failure.Twilio != 50507 && failure.Twilio != 50508 {
					t.Error(failure)
				}
			})
		}
		close(begin)
		all.Wait()
	}
	ends := map[string][]string{}
	for recorded, err := range d.log.ReadAll(t.Context(), events.Position{}, store.Filter{}) {
		require.NoError(t, err)
		event, err := events.Vocabulary().Decode(recorded.Type, recorded.Data)
		require.NoError(t, err)
		switch e := event.(type) {
		case events.MessageAdded:
			ends[e.Media[0].Media] = append(ends[e.Media[0].Media], "attached")
		case events.MediaRemoved:
			_, file, _ := events.SplitStream(recorded.Stream)
			ends[file] = append(ends[file], "removed")
		}
	}
	for _, file := range files {
		require.Len(t, ends[file], 1, "%s: %v", file, ends[file])
	}
}
