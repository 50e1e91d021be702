package chatimport_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/chatimport"
	"github.com/parley-engine/parley/store"
)

// More messages than the engine remembers commands of.
func TestAnImportAgainChangesNothing(t *testing.T) {
	c, h := newChat(t, 2, 1100), newHouse(t)
	require.True(t, h.take(c.source(), chatimport.Options{}).OK)
	head := h.head()
	r := h.take(c.source(), chatimport.Options{})
	require.True(t, r.OK, r)
	require.Equal(t, head, h.head())
	for kind, n := range r.Counts {
		require.Zero(t, n.Written, kind)
		require.Equal(t, n.Source, n.Before, kind)
	}
}

// What happened here since an import is not undone, and is no difference.
func TestLifeGoesOnAfterAnImport(t *testing.T) {
	c, h := newChat(t, 3, 4), newHouse(t)
	c.list("Channels/" + number("CH", 1) + "/Members")[0]["last_consumed_message_index"] = 2
	h.take(c.source(), chatimport.Options{})
	ch := number("CH", 1)
	h.must("conversation.add-message", ch, map[string]any{"body": "here"})
	h.must("conversation.move-read-horizon", ch, map[string]any{"participant": number("MB", 1), "index": 7})
	h.must("conversation.edit-message", ch, map[string]any{"message": number("IM", 1), "body": "edited here"})
	h.must("conversation.remove-message", ch, map[string]any{"message": number("IM", 2)})
	h.must("conversation.remove-participant", ch, map[string]any{"participant": number("MB", 2)})
	h.must("conversation.update", ch, map[string]any{"unique_name": "other", "timers": map[string]any{"inactive": "PT1H"}})
	head := h.head()
	r := h.take(c.source(), chatimport.Options{})
	require.True(t, r.OK, r)
	require.Equal(t, head, h.head())
}

func TestWhatIsNewInTheSourceIsAdded(t *testing.T) {
	c, h := newChat(t, 1, 2), newHouse(t)
	members, channel := "Channels/"+number("CH", 1)+"/Members", c.list("Channels")[0]
	c.list(members)[0]["last_consumed_message_index"] = 0
	require.True(t, h.take(c.source(), chatimport.Options{}).OK)

	later := "2018-01-01T00:00:00Z"
	c.add("Channels/"+number("CH", 1)+"/Messages", message(7, 9))
	c.list(members)[0]["last_consumed_message_index"], c.list(members)[0]["date_updated"] = 9, later
	channel["messages_count"], channel["date_updated"] = 3, later
	r := h.take(c.source(), chatimport.Options{})
	require.True(t, r.OK, r)
	require.Equal(t, 1, r.Counts["message"].Written)
	s := h.conversation(number("CH", 1))
	require.EqualValues(t, 10, s.NextIndex)
	require.EqualValues(t, 9, s.Participants[number("MB", 1)].LastRead)
	require.Equal(t, date, s.DateUpdated.Format("2006-01-02T15:04:05Z"))

	// A horizon that went back there does not go back here.
	c.list(members)[0]["last_consumed_message_index"] = 2
	require.True(t, h.take(c.source(), chatimport.Options{}).OK)
	require.EqualValues(t, 9, h.conversation(number("CH", 1)).Participants[number("MB", 1)].LastRead)
}

// An index that was given away here meanwhile is not given twice.
func TestMessagesOfBothSidesDoNotShareAnIndex(t *testing.T) {
	c, h := newChat(t, 1, 2), newHouse(t)
	h.take(c.source(), chatimport.Options{})
	h.must("conversation.add-message", number("CH", 1), map[string]any{"body": "here"})
	c.add("Channels/"+number("CH", 1)+"/Messages", message(7, 3))
	r := h.take(c.source(), chatimport.Options{})
	require.False(t, r.OK)
	require.Equal(t, []chatimport.Note{{Kind: "message", Sid: number("IM", 7), Code: "index_used", Text: "Index 3 is used or passed over: the next is 4"}}, r.Refused)
}

func TestWhatIsOtherwiseInTheSourceIsRefusedByName(t *testing.T) {
	for name, row := range map[string]struct {
		change    func(c *chat)
		kind, sid string
	}{
		"a service":        {func(c *chat) { c.lists["Services"][0]["friendly_name"] = "x" }, "service", number("IS", 1)},
		"its reachability": {func(c *chat) { c.lists["Services"][0]["reachability_enabled"] = true }, "service_configuration", number("IS", 1)},
		"a role":           {func(c *chat) { c.list("Roles")[0]["permissions"] = []string{"leaveChannel"} }, "role", number("RL", 1)},
		"a user":           {func(c *chat) { c.list("Users")[0]["friendly_name"] = "x" }, "user", number("US", 1)},
		"a channel":        {func(c *chat) { c.list("Channels")[0]["attributes"] = `{"a":1}` }, "conversation", number("CH", 1)},
		"a member":         {func(c *chat) { c.list("Channels/" + number("CH", 1) + "/Members")[0]["attributes"] = `{"a":1}` }, "participant", number("MB", 1)},
		"a message":        {func(c *chat) { c.list("Channels/" + number("CH", 1) + "/Messages")[0]["body"] = "x" }, "message", number("IM", 0)},
		"its date": {func(c *chat) {
			c.list("Channels/" + number("CH", 1) + "/Messages")[0]["date_updated"] = "2018-01-01T00:00:00Z"
		}, "message", number("IM", 0)},
	} {
		t.Run(name, func(t *testing.T) {
			c, h := newChat(t, 2, 2), newHouse(t)
			h.take(c.source(), chatimport.Options{})
			head := h.head()
			row.change(c)
			r := h.take(c.source(), chatimport.Options{})
			require.False(t, r.OK)
			require.Len(t, r.Refused, 1)
			require.Equal(t, []string{row.kind, row.sid, chatimport.CodeDiffers}, []string{r.Refused[0].Kind, r.Refused[0].Sid, r.Refused[0].Code})
			require.Equal(t, 1, r.Counts[row.kind].Refused)
			require.Equal(t, head, h.head())
		})
	}
}

// Sizes and counts that Conversations would not allow are taken as they are.
func TestWhatIsTooLargeIsTakenAndFlagged(t *testing.T) {
	c, h := newChat(t, 1001, 1), newHouse(t)
	long := `{"x":"` + strings.Repeat("y", 20<<10) + `"}`
	c.list("Users")[0]["attributes"], c.list("Channels")[0]["attributes"] = long, long
	c.list("Channels/" + number("CH", 1) + "/Members")[0]["attributes"] = long
	c.list("Channels/" + number("CH", 1) + "/Messages")[0]["attributes"] = long
	c.list("Channels/" + number("CH", 1) + "/Messages")[0]["body"] = ""
	r := h.take(c.source(), chatimport.Options{})
	require.True(t, r.OK, r)
	var flags []string
	for _, n := range r.Flagged {
		flags = append(flags, n.Kind+" "+n.Code)
	}
	require.ElementsMatch(t, []string{
		"user attributes_too_long", "conversation attributes_too_long", "participant attributes_too_long",
		"message attributes_too_long", "message empty", "conversation too_many_participants",
	}, flags)
	require.Len(t, h.conversation(number("CH", 1)).Participants, 1001)
}

func TestPublicChannelsAreLeftOutOrBecomePrivate(t *testing.T) {
	c, h := newChat(t, 1, 1), newHouse(t)
	c.list("Channels")[0]["type"] = "public"
	r := h.take(c.source(), chatimport.Options{})
	require.True(t, r.OK, r)
	require.Equal(t, number("CH", 1), r.Skipped[0].Sid)
	require.False(t, h.conversation(number("CH", 1)).Exists())
	r = h.take(c.source(), chatimport.Options{Publicize: true})
	require.True(t, r.OK, r)
	require.Empty(t, r.Skipped)
	require.Len(t, h.conversation(number("CH", 1)).Messages, 1)
}

// Nobody is told, nothing times out, and everything says where it comes from.
func TestImportedEventsSayWhoAndWhen(t *testing.T) {
	c, h := newChat(t, 2, 2), newHouse(t)
	before := h.head()
	h.must("account.configure", account, map[string]any{"default_inactive_timer": "PT1M", "default_closed_timer": "PT10M"})
	h.take(c.source(), chatimport.Options{})
	seen := 0
	for recorded, err := range h.log.ReadAll(t.Context(), before, store.Filter{StreamPrefixes: []string{"conversation-", "role-", "user-"}}) {
		require.NoError(t, err)
		seen++
		require.Equal(t, events.ActorImport, recorded.Metadata.Actor.Kind)
		require.Equal(t, date, recorded.Metadata.Occurred.Format("2006-01-02T15:04:05Z"))
		require.Equal(t, "import chat "+number("IS", 1), recorded.Metadata.Correlation)
		require.False(t, recorded.Metadata.Webhooks)
	}
	require.Equal(t, 1+2+2+1+2, seen)
	require.Equal(t, events.Timers{}, h.conversation(number("CH", 1)).Timers)
}

// An answer that is lost does not make a thing twice.
func TestAnswersMayBeLost(t *testing.T) {
	c, h := newChat(t, 2, 3), newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		target := h.target()
		target.Execute = flaky(h)
		reports, err := chatimport.Run(t.Context(), folderOf(t, c), target, chatimport.Options{})
		require.NoError(t, err)
		require.True(t, reports[0].OK, reports[0])
	})
	require.Len(t, h.conversation(number("CH", 1)).Messages, 3)
}

func TestUnreadMessagesAreComparedWithTheSource(t *testing.T) {
	c, h := newChat(t, 1, 5), newHouse(t)
	c.list("Channels/" + number("CH", 1) + "/Members")[0]["last_consumed_message_index"] = 4
	view := record{"channel_sid": number("CH", 1), "member_sid": number("MB", 1), "status": "joined", "unread_messages_count": 2, "notification_level": "muted"}
	c.add("Users/"+number("US", 1)+"/Channels", view)
	require.True(t, h.take(c.source(), chatimport.Options{}).OK)
	require.Equal(t, "muted", h.conversation(number("CH", 1)).Participants[number("MB", 1)].Level)
	view["unread_messages_count"] = 3
	r := h.take(c.source(), chatimport.Options{})
	require.Equal(t, []chatimport.Difference{{Sid: number("MB", 1), What: "unread messages", Source: 3, Found: 2}}, r.Differences)
}

func TestAChannelThatIsListedTwiceIsImportedOnce(t *testing.T) {
	c, h := newChat(t, 1, 3), newHouse(t)
	c.add("Channels", c.list("Channels")[0])
	r := h.take(c.source(), chatimport.Options{})
	require.True(t, r.OK, r)
	require.Equal(t, 1, r.Counts["conversation"].Source)
}

func TestProgressIsHeardOfEveryThing(t *testing.T) {
	c, h := newChat(t, 2, 30), newHouse(t)
	calls, messages := 0, 0
	r := h.take(c.source(), chatimport.Options{Progress: func(counts map[string]int) { calls, messages = calls+1, counts["message"] }})
	require.Equal(t, 30, messages)
	things := 0
	for _, n := range r.Counts {
		things += n.Source
	}
	require.Equal(t, things, calls)
}

// What is here under a SID, and is no import's, is somebody's own.
func TestASidThatIsTakenHereIsRefusedWithAllThatBelongsToIt(t *testing.T) {
	c, h := newChat(t, 2, 2), newHouse(t)
	h.must("conversation.create", number("CH", 1), map[string]any{"friendly_name": "mine"})
	r := h.take(c.source(), chatimport.Options{})
	require.False(t, r.OK)
	require.Len(t, r.Refused, 1)
	require.Equal(t, []string{"conversation", number("CH", 1), "conversation_exists"}, []string{r.Refused[0].Kind, r.Refused[0].Sid, r.Refused[0].Code})
	s := h.conversation(number("CH", 1))
	require.Equal(t, "mine", s.FriendlyName)
	require.Empty(t, s.Messages)
	require.Empty(t, s.Participants)
	require.Equal(t, 2, r.Counts["user"].Written, "the rest is there")
}

func TestServicesMayBeChosen(t *testing.T) {
	c, h := newChat(t, 1, 1), newHouse(t)
	c.lists["Services"] = append(c.lists["Services"], record{"sid": number("IS", 2), "date_created": date})
	r := h.take(c.source(), chatimport.Options{Services: []string{number("IS", 1)}})
	require.Equal(t, number("IS", 1), r.Service)
	_, err := chatimport.Run(t.Context(), c.source(), h.target(), chatimport.Options{Services: []string{number("IS", 3)}})
	require.ErrorIs(t, err, chatimport.ErrNoService)
	_, err = chatimport.Run(t.Context(), c.source(), h.target(), chatimport.Options{Services: []string{number("IS", 2)}})
	require.ErrorContains(t, err, "404", "its lists are missing")
}

func TestAMessageThatIsRefusedDoesNotHoldUpTheOthers(t *testing.T) {
	c, h := newChat(t, 1, 3), newHouse(t)
	c.list("Channels/" + number("CH", 1) + "/Messages")[1]["from"] = strings.Repeat("x", 257)
	r := h.take(c.source(), chatimport.Options{})
	require.Equal(t, []string{number("IM", 1), "author_too_long"}, []string{r.Refused[0].Sid, r.Refused[0].Code})
	require.Len(t, h.conversation(number("CH", 1)).Messages, 2)
	require.Equal(t, []chatimport.Difference{{Sid: number("CH", 1), What: "messages", Source: 3, Found: 2}}, r.Differences)
}

// What other doors refuse an import refuses, too; half of a character, which JSON can say
// and nobody can keep, is replaced and told.
func TestTextsThatAreNoneAreRefusedOrTold(t *testing.T) {
	c, h := newChat(t, 1, 3), newHouse(t)
	messages := c.list("Channels/" + number("CH", 1) + "/Messages")
	messages[1]["body"] = "a\x00b"
	messages[2]["body"] = json.RawMessage(`"half \ud83d"`)
	r := h.take(c.source(), chatimport.Options{})
	require.Equal(t, []string{number("IM", 1), "text_invalid"}, []string{r.Refused[0].Sid, r.Refused[0].Code})
	require.Contains(t, r.Refused[0].Text, "body has a NUL")
	require.Len(t, r.Flagged, 1)
	require.Equal(t, []string{"message", number("IM", 2), "text_invalid"}, []string{r.Flagged[0].Kind, r.Flagged[0].Sid, r.Flagged[0].Code})
	require.Contains(t, r.Flagged[0].Text, "surrogate")
	require.Len(t, h.conversation(number("CH", 1)).Messages, 2)
}
