package projections_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store/memstore"
)

const (
	ch   = "CH00000000000000000000000000000001"
	alba = "MB0000000000000000000000000000000a"
	bo   = "MB0000000000000000000000000000000b"
	cy   = "MB0000000000000000000000000000000c"
	im1  = "IM00000000000000000000000000000001"
	im2  = "IM00000000000000000000000000000002"
	wh   = "WH00000000000000000000000000000001"
	us   = "US00000000000000000000000000000001"
	rl   = "RL00000000000000000000000000000001"
	sk   = "SK00000000000000000000000000000001"
	cr   = "CR00000000000000000000000000000001"
	bs   = "BS00000000000000000000000000000001"
	ig   = "IG00000000000000000000000000000001"
	me   = "ME00000000000000000000000000000001"
)

func minute(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }

// given is a read model that has seen the events, in one conversation's stream
// unless they belong elsewhere.
func given(t *testing.T, history ...events.Event) *projections.ReadModels {
	t.Helper()
	log, w := memstore.New(), newWorld(1)
	rm := open(t, t.TempDir(), log, nil)
	var last events.Position
	for _, e := range history {
		last = w.append(t, log, record{streamOf(e), []events.Event{e}})
	}
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, last))
	return rm
}

func streamOf(e events.Event) string {
	switch e.(type) {
	case events.AccountCreated, events.AccountConfigured, events.MessagingServiceAdded,
		events.AccountAuthTokenSet, events.AccountWebhooksConfigured, events.LogLossAccepted:
		return "account-" + account
	case events.ServiceCreated, events.ServiceConfigured, events.ServiceRemoved,
		events.ServiceWebhooksConfigured, events.ServiceNotificationsConfigured:
		return "service-" + service
	case events.UserCreated, events.UserFriendlyNameChanged, events.UserAttributesChanged, events.UserRoleChanged, events.UserRemoved:
		return "user-" + us
	case events.RoleCreated, events.RolePermissionsReplaced, events.RoleRemoved:
		return "role-" + rl
	case events.APIKeyCreated, events.APIKeySecretReplaced, events.APIKeyRevoked:
		return "apikey-" + sk
	case events.CredentialCreated, events.CredentialUpdated, events.CredentialRemoved:
		return "credential-" + cr
	case events.BindingCreated, events.BindingUpdated, events.BindingRemoved:
		return "binding-" + bs
	case events.AddressConfigurationCreated, events.AddressConfigurationUpdated, events.AddressConfigurationRemoved:
		return "address-" + ig
	case events.MediaCreated, events.MediaRemoved:
		return "media-" + me
	case events.ReservationClaimed:
		return "reservation-identity:x"
	}
	return "conversation-" + ch
}

func created() events.ConversationCreated {
	return events.ConversationCreated{
		Conversation: ch, Account: account, Service: service, UniqueName: "order-1", State: events.StateActive,
		Timers: events.Timers{Inactive: "PT10M", Closed: "P1DT1H"}, CreatedBy: "system",
		DateCreated: minute(0), DateUpdated: minute(0), At: minute(0),
	}
}

func joined(sid, identity, address string, n int) events.ParticipantAdded {
	e := events.ParticipantAdded{Participant: sid, Identity: identity, DateCreated: minute(n), DateUpdated: minute(n), At: minute(n)}
	if address != "" {
		e.Binding = events.Binding{Type: "sms", Address: address, ProxyAddress: "+1"}
	}
	return e
}

func message(sid string, index int64, n int, recipients ...string) events.MessageAdded {
	return events.MessageAdded{Message: sid, Index: index, Author: "alba", Participant: alba, Body: "hi",
		Recipients: recipients, DateCreated: minute(n), DateUpdated: minute(n), At: minute(n)}
}

func delivery(message, participant, status string, n int) events.DeliveryUpdated {
	return events.DeliveryUpdated{Receipt: "DY" + participant[2:], Message: message, Participant: participant,
		ChannelMessage: "SM1", Status: status, At: minute(n)}
}

func state(from, to, reason string, due, at int) events.ConversationStateChanged {
	e := events.ConversationStateChanged{From: from, To: to, Reason: reason, DateUpdated: minute(at), At: minute(at)}
	if reason == events.ReasonTimer {
		e.Due = minute(due)
	}
	return e
}

func TestASuccessorIsRemembered(t *testing.T) {
	rm := given(t, created(), events.ConversationSucceeded{Successor: "CH2", At: minute(1)})
	c, err := rm.Conversation(t.Context(), service, ch)
	require.NoError(t, err)
	require.Equal(t, "CH2", c.Successor)
	require.Empty(t, c.Predecessor)
}

func TestConversationRows(t *testing.T) {
	day := 24 * time.Hour
	for name, row := range map[string]struct {
		history []events.Event
		check   func(t *testing.T, c projections.Conversation)
	}{
		"a new conversation has both dates, chained": {nil, func(t *testing.T, c projections.Conversation) {
			require.Equal(t, "{}", c.Attributes)
			require.Equal(t, int64(-1), c.LastMessageIndex)
			require.Equal(t, minute(10), c.DateInactive())
			require.Equal(t, minute(10).Add(day+time.Hour), c.DateClosed())
			require.Equal(t, events.At(1), c.Position)
		}},
		"names, attributes, service and e-mail are replaced": {[]events.Event{
			events.ConversationFriendlyNameChanged{FriendlyName: "F", DateUpdated: minute(1)},
			events.ConversationUniqueNameChanged{DateUpdated: minute(2)},
			events.ConversationAttributesChanged{Attributes: `{"a":  1}`, DateUpdated: minute(3)},
			events.ConversationMessagingServiceAttached{MessagingService: "MG1", DateUpdated: minute(4)},
			events.ConversationEmailChanged{Email: events.Email{Address: "a@b", Name: "A"}, DateUpdated: minute(5)},
		}, func(t *testing.T, c projections.Conversation) {
			require.Equal(t, []string{"F", "", `{"a":  1}`, "MG1", "a@b", "A"},
				[]string{c.FriendlyName, c.UniqueName, c.Attributes, c.MessagingServiceSid, c.EmailAddress, c.EmailName})
			require.Equal(t, minute(5), c.DateUpdated)
			require.Equal(t, uint64(5), c.LastRevision)
		}},
		"a message restarts the clock": {[]events.Event{message(im1, 4, 7)}, func(t *testing.T, c projections.Conversation) {
			require.Equal(t, int64(4), c.LastMessageIndex)
			require.Equal(t, minute(17), c.DateInactive())
			require.Equal(t, minute(0), c.DateUpdated)
		}},
		"a message that was overtaken does not pull the clock back": {[]events.Event{message(im1, 0, 7), message(im2, 1, 5)},
			func(t *testing.T, c projections.Conversation) {
				require.Equal(t, minute(17), c.DateInactive())
				require.Equal(t, minute(7), c.LastActivityAt)
			}},
		"nor does a participant": {[]events.Event{message(im1, 0, 7), joined(alba, "alba", "", 3)},
			func(t *testing.T, c projections.Conversation) {
				require.Equal(t, minute(17), c.DateInactive())
				require.Equal(t, minute(7), c.LastActivityAt)
			}},
		"a state set by a client sets the clock, also back": {[]events.Event{
			message(im1, 0, 7), state(events.StateActive, events.StateInactive, events.ReasonAPI, 0, 6),
		}, func(t *testing.T, c projections.Conversation) {
			require.Equal(t, minute(6), c.EnteredInactiveAt)
			require.Equal(t, minute(6).Add(day+time.Hour), c.DateClosed())
			require.Equal(t, minute(7), c.LastActivityAt)
		}},
		"a late tick counts from the instant that was due": {[]events.Event{
			state(events.StateActive, events.StateInactive, events.ReasonTimer, 10, 90),
		}, func(t *testing.T, c projections.Conversation) {
			require.Equal(t, events.StateInactive, c.State)
			require.Equal(t, minute(10), c.EnteredInactiveAt)
			require.Equal(t, minute(0), c.LastActivityAt)
			require.True(t, c.DateInactive().IsZero())
			require.Equal(t, minute(10).Add(day+time.Hour), c.DateClosed())
		}},
		"a state set by a client is an activity": {[]events.Event{
			state(events.StateActive, events.StateInactive, events.ReasonTimer, 10, 10),
			state(events.StateInactive, events.StateActive, events.ReasonAPI, 0, 30),
		}, func(t *testing.T, c projections.Conversation) {
			require.True(t, c.EnteredInactiveAt.IsZero())
			require.Equal(t, minute(40), c.DateInactive())
		}},
		"PT0S switches a timer off": {[]events.Event{
			events.ConversationTimersConfigured{Timers: events.Timers{Inactive: "PT0S", Closed: "PT20M"}, DateUpdated: minute(3), At: minute(3)},
		}, func(t *testing.T, c projections.Conversation) {
			require.Equal(t, "PT0S", c.InactiveTimer)
			require.True(t, c.DateInactive().IsZero())
			require.Equal(t, minute(23), c.DateClosed())
		}},
		"a closed conversation has no dates": {[]events.Event{
			state(events.StateActive, events.StateClosed, events.ReasonAPI, 0, 5),
		}, func(t *testing.T, c projections.Conversation) {
			require.True(t, c.DateInactive().IsZero() && c.DateClosed().IsZero())
		}},
		"reserved indexes are no messages": {[]events.Event{
			events.ConversationIndexesReserved{NextIndex: 9, At: minute(1)},
		}, func(t *testing.T, c projections.Conversation) {
			require.EqualValues(t, -1, c.LastMessageIndex)
			require.Equal(t, uint64(1), c.LastRevision)
		}},
		"dates are restored and reservations leave no trace": {[]events.Event{
			events.ConversationDatesSet{DateCreated: minute(-100), DateUpdated: minute(-50), At: minute(1)},
			events.ReservationLost{Reservation: "reservation-x", Taker: "conversation-y"},
			events.ReservationClaimed{Kind: "identity", Holder: "user-x"},
		}, func(t *testing.T, c projections.Conversation) {
			require.Equal(t, minute(-100), c.DateCreated)
			require.Equal(t, minute(-50), c.DateUpdated)
			require.Equal(t, uint64(1), c.LastRevision)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			rm := given(t, append([]events.Event{created()}, row.history...)...)
			c, err := rm.Conversation(t.Context(), service, ch)
			require.NoError(t, err)
			row.check(t, c)
		})
	}
}

func TestAConversationIsFoundByItsUniqueNameInItsServiceOnly(t *testing.T) {
	rm := given(t, created())
	c, err := rm.Conversation(t.Context(), service, "order-1")
	require.NoError(t, err)
	require.Equal(t, ch, c.Sid)
	for _, wrong := range [][2]string{{"", "order-1"}, {"IS9", "order-1"}, {"IS9", ch}, {service, "order-2"}} {
		_, err = rm.Conversation(t.Context(), wrong[0], wrong[1])
		require.ErrorIs(t, err, projections.ErrNotFound, "%v", wrong)
	}
}

func TestParticipantRows(t *testing.T) {
	rm := given(t, created(), joined(alba, "alba", "", 1), joined(bo, "", "+15551", 2), joined(cy, "cy", "", 3),
		events.ParticipantAttributesChanged{Participant: alba, Attributes: `{"x":1}`, DateUpdated: minute(4)},
		events.ParticipantRoleChanged{Participant: alba, Role: rl, DateUpdated: minute(5)},
		events.NotificationLevelSet{Participant: alba, Level: "muted"},
		events.ReadHorizonMoved{Participant: alba, Index: 3, ReadAt: minute(6)},
		events.ReadHorizonMoved{Participant: bo, Index: 3, ReadAt: minute(6)},
		events.ReadHorizonMoved{Participant: bo, Index: -1},
		events.ParticipantBindingChanged{Participant: bo, Identity: "bo", Binding: events.Binding{Type: "sms", ProjectedAddress: "+19"}, DateUpdated: minute(7)},
		events.ParticipantDatesSet{Participant: bo, DateCreated: minute(-1), DateUpdated: minute(8)},
		events.ParticipantRemoved{Participant: cy},
	)
	list, err := rm.Participants(t.Context(), service, ch, projections.Page{})
	require.NoError(t, err)
	require.Len(t, list.Items, 2)
	a, b := list.Items[0], list.Items[1]
	require.Equal(t, []string{alba, `{"x":1}`, rl, "muted", ch}, []string{a.Sid, a.Attributes, a.RoleSid, a.NotificationLevel, a.ConversationSid})
	require.Equal(t, int64(3), *a.LastReadMessageIndex)
	require.Equal(t, minute(6), a.LastReadTimestamp)
	require.Nil(t, b.LastReadMessageIndex)
	require.True(t, b.LastReadTimestamp.IsZero())
	require.Equal(t, projections.Binding{Type: "sms", ProjectedAddress: "+19"}, b.MessagingBinding)
	require.Equal(t, [2]time.Time{minute(-1), minute(8)}, [2]time.Time{b.DateCreated, b.DateUpdated})

	byIdentity, err := rm.Participant(t.Context(), service, ch, "bo")
	require.NoError(t, err)
	require.Equal(t, b, byIdentity)
	_, err = rm.Participant(t.Context(), service, ch, cy)
	require.ErrorIs(t, err, projections.ErrNotFound)
}

func TestMessageRows(t *testing.T) {
	media := []events.Media{{Media: "ME1", ContentType: "image/png", Size: 9}}
	first := message(im1, 0, 2)
	first.Media, first.Content, first.ContentVariables = media, "HX1", `{"1":"x"}`
	rm := given(t, created(), joined(alba, "alba", "", 1), first, message(im2, 3, 3),
		events.MessageBodyEdited{Message: im1, Body: "better", DateUpdated: minute(4)},
		events.MessageAttributesChanged{Message: im1, Attributes: "[1]", DateUpdated: minute(5)},
		events.MessageAuthorChanged{Message: im1, Author: "bo", DateUpdated: minute(6)},
		events.MessageSubjectChanged{Message: im1, Subject: "S", DateUpdated: minute(7)},
		events.MessageDatesSet{Message: im1, DateCreated: minute(-9), DateUpdated: minute(8)},
		events.MessageRemoved{Message: im2},
	)
	list, err := rm.Messages(t.Context(), service, "order-1", false, projections.Page{})
	require.NoError(t, err)
	require.Len(t, list.Items, 1, "a removed message has no row")
	m := list.Items[0]
	require.Equal(t, []string{"better", "[1]", "bo", "", "S", "HX1", `{"1":"x"}`, ch, account, service},
		[]string{m.Body, m.Attributes, m.Author, m.ParticipantSid, m.Subject, m.ContentSid, m.ContentVariables, m.ConversationSid, m.AccountSid, m.ChatServiceSid})
	require.Equal(t, media, m.Media)
	require.Equal(t, [2]time.Time{minute(-9), minute(8)}, [2]time.Time{m.DateCreated, m.DateUpdated})
	require.Nil(t, m.Delivery, "nobody can send a receipt")
	c, err := rm.Conversation(t.Context(), service, ch)
	require.NoError(t, err)
	require.Equal(t, int64(3), c.LastMessageIndex, "an index is not used again")
}

func TestDeliverySummaryCountsCumulatively(t *testing.T) {
	for name, row := range map[string]struct {
		deliveries []events.Event
		want       projections.Delivery
	}{
		"nothing heard yet": {nil, projections.Delivery{Total: 2, Sent: "none", Delivered: "none", Read: "none", Failed: "none", Undelivered: "none"}},
		"read implies delivered and sent": {[]events.Event{delivery(im1, bo, events.DeliveryRead, 3), delivery(im1, cy, events.DeliverySent, 3)},
			projections.Delivery{Total: 2, Sent: "all", Delivered: "some", Read: "some", Failed: "none", Undelivered: "none"}},
		"queued reached nothing": {[]events.Event{delivery(im1, bo, events.DeliveryQueued, 3)},
			projections.Delivery{Total: 2, Sent: "none", Delivered: "none", Read: "none", Failed: "none", Undelivered: "none"}},
		"undelivered had been sent, failed had not": {[]events.Event{delivery(im1, bo, events.DeliveryUndelivered, 3), delivery(im1, cy, events.DeliveryFailed, 3)},
			projections.Delivery{Total: 2, Sent: "some", Delivered: "none", Read: "none", Failed: "some", Undelivered: "some"}},
		"the latest status counts": {[]events.Event{delivery(im1, bo, events.DeliverySent, 3), delivery(im1, cy, events.DeliverySent, 3), delivery(im1, bo, events.DeliveryDelivered, 4), delivery(im1, cy, events.DeliveryDelivered, 4)},
			projections.Delivery{Total: 2, Sent: "all", Delivered: "all", Read: "none", Failed: "none", Undelivered: "none"}},
	} {
		t.Run(name, func(t *testing.T) {
			rm := given(t, append([]events.Event{created(), message(im1, 0, 2, bo, cy)}, row.deliveries...)...)
			m, err := rm.Message(t.Context(), service, ch, im1)
			require.NoError(t, err)
			require.Equal(t, &row.want, m.Delivery)
		})
	}
}

func TestReceiptRows(t *testing.T) {
	failed := delivery(im1, bo, events.DeliveryUndelivered, 4)
	failed.ErrorCode, failed.ChannelMessage = 30003, ""
	rm := given(t, created(), message(im1, 0, 2, bo), message(im2, 1, 2, bo),
		delivery(im1, bo, events.DeliverySent, 3), failed,
		delivery(im2, bo, events.DeliverySent, 3), events.MessageRemoved{Message: im2},
		delivery(im2, bo, events.DeliveryDelivered, 5),
	)
	list, err := rm.Receipts(t.Context(), service, ch, im1, projections.Page{})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	r := list.Items[0]
	require.Equal(t, []string{"undelivered", "SM1", bo, im1, ch}, []string{r.Status, r.ChannelMessageSid, r.ParticipantSid, r.MessageSid, r.ConversationSid})
	require.Equal(t, int64(30003), r.ErrorCode)
	require.Equal(t, [2]time.Time{minute(3), minute(4)}, [2]time.Time{r.DateCreated, r.DateUpdated})
	same, err := rm.Receipt(t.Context(), service, ch, im1, r.Sid)
	require.NoError(t, err)
	require.Equal(t, r, same)
	_, err = rm.Receipts(t.Context(), service, ch, im2, projections.Page{})
	require.ErrorIs(t, err, projections.ErrNotFound)
	require.Equal(t, int64(1), rowsOf(t, rm, "receipt"), "a late report about a removed message leaves no row")
}

func rowsOf(t *testing.T, rm *projections.ReadModels, table string) int64 {
	t.Helper()
	for _, d := range digests(t, rm) {
		if d.Table == table {
			return d.Rows
		}
	}
	t.Fatalf("no table %s", table)
	return 0
}

func TestUnreadCounts(t *testing.T) {
	people := []events.Event{created(), joined(alba, "alba", "", 1), events.UserCreated{User: us, Account: account, Service: service, Identity: "alba", At: minute(0)},
		message(im1, 0, 2), message(im2, 5, 3), message("IM3", 9, 4)}
	for name, row := range map[string]struct {
		then []events.Event
		want any
	}{
		"null while there is no horizon":          {nil, nil},
		"messages are counted, not indexes":       {[]events.Event{events.ReadHorizonMoved{Participant: alba, Index: 0}}, 2},
		"removed messages do not count":           {[]events.Event{events.ReadHorizonMoved{Participant: alba, Index: 0}, events.MessageRemoved{Message: im2}}, 1},
		"nothing behind the horizon":              {[]events.Event{events.ReadHorizonMoved{Participant: alba, Index: 9}}, 0},
		"null again after all were marked unread": {[]events.Event{events.ReadHorizonMoved{Participant: alba, Index: 9}, events.ReadHorizonMoved{Participant: alba, Index: -1}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			rm := given(t, append(people[:len(people):len(people)], row.then...)...)
			list, err := rm.UserConversations(t.Context(), service, us, false, projections.Page{})
			require.NoError(t, err)
			require.Len(t, list.Items, 1)
			one, err := rm.UserConversation(t.Context(), service, "alba", "order-1")
			require.NoError(t, err)
			require.Equal(t, list.Items[0], one)
			require.Equal(t, ch, one.Conversation.Sid)
			if row.want == nil {
				require.Nil(t, one.UnreadMessagesCount)
			} else {
				require.EqualValues(t, row.want, *one.UnreadMessagesCount)
			}
		})
	}
}

func TestUnreadCountsEndAtOneThousand(t *testing.T) {
	history := []events.Event{created(), joined(alba, "alba", "", 1), events.UserCreated{User: us, Account: account, Service: service, Identity: "alba", At: minute(0)}}
	for i := range int64(projections.MaxUnread + 5) {
		history = append(history, message(im1[:20]+time.Duration(i).String(), i, 2))
	}
	rm := given(t, append(history, events.ReadHorizonMoved{Participant: alba, Index: 0})...)
	seen, err := rm.UserConversation(t.Context(), service, us, ch)
	require.NoError(t, err)
	require.EqualValues(t, projections.MaxUnread, *seen.UnreadMessagesCount)
}

func TestRemovingAConversationRemovesAllItHolds(t *testing.T) {
	history := []events.Event{created(), joined(alba, "alba", "", 1), message(im1, 0, 2, bo), delivery(im1, bo, events.DeliverySent, 3),
		events.WebhookAdded{WebhookSid: wh, Webhook: events.Webhook{Target: "webhook"}, At: minute(1)},
		events.ConversationRemoved{At: minute(9)}}
	rm := given(t, history...)
	for _, table := range []string{"conversation", "participant", "message", "receipt", "webhook"} {
		require.Zero(t, rowsOf(t, rm, table), table)
	}
	_, err := rm.Conversation(t.Context(), service, ch)
	require.ErrorIs(t, err, projections.ErrNotFound)
}

func TestWebhookRows(t *testing.T) {
	after := int64(3)
	rm := given(t, created(),
		events.WebhookAdded{WebhookSid: wh, Webhook: events.Webhook{Target: "webhook", URL: "https://a", ReplayAfter: &after}, At: minute(1)},
		events.WebhookAdded{WebhookSid: "WH2", Webhook: events.Webhook{Target: "studio", FlowSid: "FW1"}, At: minute(1)},
		events.WebhookUpdated{WebhookSid: wh, Webhook: events.Webhook{Target: "webhook", URL: "https://b", Filters: []string{"onMessageAdded"}}, At: minute(2)},
		events.WebhookRemoved{WebhookSid: "WH2", At: minute(3)})
	list, err := rm.Webhooks(t.Context(), service, ch, projections.Page{})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	w, err := rm.Webhook(t.Context(), service, ch, wh)
	require.NoError(t, err)
	require.Equal(t, list.Items[0], w)
	require.Equal(t, events.Webhook{Target: "webhook", URL: "https://b", Filters: []string{"onMessageAdded"}}, w.Configuration)
	require.Equal(t, [2]time.Time{minute(1), minute(2)}, [2]time.Time{w.DateCreated, w.DateUpdated})
}

func TestEveryEventTypeOfTheVocabularyIsHandled(t *testing.T) {
	ignored := map[string]bool{
		events.ReservationClaimed{}.EventType(): true,
		events.ReservationLost{}.EventType():    true,
		events.ForeignRecorded{}.EventType():    true,
	}
	for _, name := range events.Vocabulary().Types() {
		t.Run(name, func(t *testing.T) {
			zero, _ := events.Vocabulary().Zero(name)
			before, after := foldOne(t, zero)
			if ignored[name] {
				require.Equal(t, before, after, "it must leave no trace")
			} else {
				require.NotEqual(t, before, after, "it must change a row")
			}
		})
	}
}

// foldOne applies an event of the type to a world in which everything with an
// empty name exists, and returns the tables before and after.
func foldOne(t *testing.T, e events.Event) (before, after []projections.Digest) {
	t.Helper()
	log, w := memstore.New(), newWorld(1)
	rm := open(t, t.TempDir(), log, nil)
	var last events.Position
	for _, given := range []events.Event{
		events.AccountCreated{At: minute(1)}, events.ServiceCreated{At: minute(1)}, events.UserCreated{At: minute(1)}, events.RoleCreated{At: minute(1)},
		events.ConversationCreated{State: events.StateActive, At: minute(1)}, events.ParticipantAdded{At: minute(1)},
		events.MessageAdded{At: minute(1)}, events.WebhookAdded{At: minute(1)},
		events.APIKeyCreated{At: minute(1)}, events.CredentialCreated{At: minute(1)}, events.BindingCreated{At: minute(1)},
		events.AddressConfigurationCreated{At: minute(1)}, events.MediaCreated{At: minute(1)},
	} {
		begins := strings.HasSuffix(e.EventType(), ".created.v1") && streamOf(given) == streamOf(e)
		if given.EventType() != e.EventType() && !begins {
			last = w.append(t, log, record{streamOf(given), []events.Event{given}})
		}
	}
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, last))
	before = digests(t, rm)
	last = w.append(t, log, record{streamOf(e), []events.Event{e}})
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, last))
	return before, digests(t, rm)
}

func TestRowsShowTwiliosNamesInJSON(t *testing.T) {
	rm := given(t, created(), joined(alba, "alba", "", 1), message(im1, 0, 2, bo))
	m, err := rm.Message(t.Context(), service, ch, im1)
	require.NoError(t, err)
	text, err := json.Marshal(m)
	require.NoError(t, err)
	require.JSONEq(t, `{"sid":"`+im1+`","account_sid":"`+account+`","chat_service_sid":"`+service+`","conversation_sid":"`+ch+`",
		"index":0,"author":"alba","participant_sid":"`+alba+`","body":"hi","attributes":"{}",
		"delivery":{"total":1,"sent":"none","delivered":"none","read":"none","failed":"none","undelivered":"none"},
		"date_created":"2026-03-01T09:02:00Z","date_updated":"2026-03-01T09:02:00Z"}`, string(text))
}
