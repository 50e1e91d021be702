package webhooks_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/user"
	"github.com/parley-engine/parley/events"
)

var update = flag.Bool("update", false, "rewrite the golden files; a changed one is a change for every receiver")

const goldenFile = "testdata/parameters.golden"

// The life of a conversation, as it is told: each post-event with all its parameters.
func TestEachPostEventHasItsParameters(t *testing.T) {
	w := newWorld(t)
	w.listen(everything...)
	var story strings.Builder
	tell := func(title string) {
		fmt.Fprintf(&story, "# %s\n", title)
		for _, j := range w.told() {
			require.Equal(t, j.What, j.Parameters["EventType"])
			require.Equal(t, hookURL, j.Target)
			fmt.Fprintf(&story, "%s\n", j.What)
			for _, name := range slices.Sorted(maps.Keys(j.Parameters)) {
				fmt.Fprintf(&story, "  %s=%s\n", name, w.named(j.Parameters[name]))
			}
		}
	}
	mg := w.must(w.account, account.AddMessagingService{FriendlyName: "Carrier"}).Sid
	ch := w.conversation(conversation.Create{MessagingService: mg, FriendlyName: "One", UniqueName: "one", Attributes: `{"a":1}`})
	tell("a conversation is created")
	member := w.must(ch, conversation.AddParticipant{Identity: "alice", Attributes: `{"p":1}`}).Sid
	tell("a chat participant and its user are added")
	sms := w.must(ch, conversation.AddParticipant{Address: "+4915112345678", ProxyAddress: "+4930123456"}).Sid
	tell("an SMS participant is added")
	im := w.as(alice, ch, conversation.AddMessage{Author: "alice", Body: "Hello", Attributes: `{"m":1}`}).Sid
	tell("a user writes")
	w.as(events.Actor{Kind: events.ActorChannel, ID: sms}, ch, conversation.AddMessage{Author: "+4915112345678", Body: "from afar"})
	tell("a message comes from a channel")
	w.must(ch, conversation.EditMessage{Message: im, Body: at("Hello you"), Attributes: at(`{"m":2}`)})
	tell("body and attributes of a message are edited")
	w.as(events.Actor{Kind: events.ActorChannel}, ch, conversation.RecordDelivery{Message: im, Participant: sms, ChannelMessage: "SM00000000000000000000000000000001", Status: "failed", ErrorCode: 30008})
	tell("a delivery fails")
	w.must(ch, conversation.UpdateParticipant{Participant: member, Attributes: at(`{"p":2}`), LastReadIndex: at(int64(1))})
	tell("attributes and read horizon of a participant change")
	w.must(ch, conversation.Update{FriendlyName: at("Two"), Attributes: at(`{"a":2}`)})
	tell("name and attributes of a conversation change")
	w.must(ch, conversation.Update{State: at("inactive")})
	tell("the API sets the state")
	w.must(ch, conversation.RemoveMessage{Message: im})
	tell("a message is removed")
	w.must(ch, conversation.RemoveParticipant{Participant: member})
	tell("a participant is removed")
	w.must(ch, conversation.Remove{})
	tell("the conversation is removed")
	us := w.must("", user.Create{Identity: "carol", FriendlyName: "Carol"}).Sid
	tell("a user is created")
	w.must(us, user.Update{FriendlyName: at("Caroline"), Attributes: at(`{"u":1}`)})
	tell("name and attributes of a user change")
	w.must(us, user.Remove{})
	tell("a user is removed, which is not told")
	if *update {
		require.NoError(t, os.WriteFile(goldenFile, []byte(story.String()), 0o600))
	}
	golden, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	require.Equal(t, string(golden), story.String())
	for _, name := range everything {
		require.Contains(t, story.String(), "\n"+name+"\n")
	}
}

var (
	sidText  = regexp.MustCompile(`[A-Z]{2}[0-9a-f]{32}`)
	dateText = regexp.MustCompile(`^2026-11-26T\d\d:\d\d:\d\d\.\d{3}Z$`)
)

// named gives SIDs short names in the order they are met, and dates none.
func (w *world) named(value string) string {
	if dateText.MatchString(value) {
		return "(date)"
	}
	return sidText.ReplaceAllStringFunc(value, func(sid string) string {
		name, known := w.names[sid]
		if !known {
			w.kinds[sid[:2]]++
			name = fmt.Sprintf("(%s %d)", sid[:2], w.kinds[sid[:2]])
			w.names[sid] = name
		}
		return name
	})
}
