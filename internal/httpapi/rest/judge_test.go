package rest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/httpapi/rest"
)

const (
	messagingService = "MG00000000000000000000000000000001"
	ourNumber        = "+15550001000"
	ourWhatsApp      = "whatsapp:+15550001000"
)

// attachable makes a Messaging Service known to the account, with any sender.
func (w *world) attachable() string {
	w.t.Helper()
	w.do("account.add-messaging-service", w.account, `{"sid":"`+messagingService+`","friendly_name":"Everything"}`)
	return messagingService
}

// inService has the engine do a command in a service as the bus would.
func (w *world) inService(service, commandType, aggregate, body string) engine.Outcome {
	w.t.Helper()
	outcome, err := w.engine.Execute(w.t.Context(), engine.Command{
		ID: events.ID(uuid.New()), Type: commandType, Aggregate: aggregate, Account: w.account, Service: service, Body: []byte(body),
	})
	require.NoError(w.t, err)
	return outcome
}

// TestTwiliosLibraryExercisesEveryOperation is the main judge: each of the 103
// operations has to go well once, with the documented status, called by Twilio's
// own library in the account form and in the service form.
func TestTwiliosLibraryExercisesEveryOperation(t *testing.T) {
	w := newWorld(t)
	w.attachable()
	j := w.judge(t)
	t.Run("of the account", func(t *testing.T) {
		t.Run("configuration", judging(j, judgeConfiguration))
		t.Run("webhooks", judging(j, judgeAccountWebhooks))
		t.Run("addresses", judging(j, judgeAddresses))
		t.Run("credentials", judging(j, judgeCredentials))
		t.Run("services", judging(j, judgeServices))
	})
	service := str(j.do("CreateService", nil, params{"FriendlyName": "Support"}), "sid")
	t.Run("of a service", func(t *testing.T) {
		s := j.within(service)
		t.Run("configuration", judging(s, judgeServiceConfiguration))
		t.Run("notifications", judging(s, judgeNotifications))
		t.Run("webhooks", judging(s, judgeServiceWebhooks))
		t.Run("bindings", judging(s, judgeBindings))
	})
	for form, in := range map[string]string{"account form": "", "service form": service} {
		t.Run(form, func(t *testing.T) {
			f := j.within(in)
			t.Run("conversations", judging(f, judgeConversations))
			t.Run("participants", judging(f, judgeParticipants))
			t.Run("group MMS", judging(f, judgeGroup))
			t.Run("messages", judging(f, judgeMessages))
			t.Run("receipts", judging(f, judgeReceipts))
			t.Run("scoped webhooks", judging(f, judgeScopedWebhooks))
			t.Run("conversations with participants", judging(f, judgeTogether))
			t.Run("participant conversations", judging(f, judgeParticipantConversations))
			t.Run("roles", judging(f, judgeRoles))
			t.Run("users", judging(f, judgeUsers))
			t.Run("user conversations", judging(f, judgeUserConversations))
		})
	}
	requireAllExercised(t, j.wire)
}

func judging(j *judge, what func(*judge)) func(*testing.T) {
	return func(t *testing.T) {
		mine, there := *j, *j.world
		mine.t, there.t, mine.world = t, t, &there
		what(&mine)
	}
}

// requireAllExercised compares what was called with the table of operations.
func requireAllExercised(t *testing.T, l *wire) {
	t.Helper()
	done, total := l.successes(), 0
	for _, o := range rest.Describe() {
		if o.Own {
			continue
		}
		total++
		require.Equal(t, o.Status, done[o.Method+" "+o.Path], "%s %s was not exercised", o.Method, o.Path)
	}
	require.Equal(t, 103, total)
}

// recent checks an instant that is now, on the wire.
func (j *judge) recent(text any) {
	j.t.Helper()
	require.Regexp(j.t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`, text)
	at, err := time.Parse(time.RFC3339, text.(string))
	require.NoError(j.t, err)
	require.WithinDuration(j.t, time.Now(), at, time.Minute)
}

// sid checks a SID and returns it.
func (j *judge) sid(prefix string, resource map[string]any) string {
	j.t.Helper()
	require.Regexp(j.t, "^"+prefix+"[0-9a-f]{32}$", resource["sid"])
	require.Equal(j.t, j.account, resource["account_sid"])
	return str(resource, "sid")
}

// attributes checks a text that happens to be JSON: not a byte of it may change.
func (j *judge) attributes(resource map[string]any, want string) {
	j.t.Helper()
	require.Equal(j.t, want, resource["attributes"])
}

// serviceNamed checks what names its service in both forms.
func (j *judge) serviceNamed(resource map[string]any) {
	j.t.Helper()
	require.Equal(j.t, j.home(), resource["chat_service_sid"])
}

// serviceFormOnly checks what names its service in the service form only.
func (j *judge) serviceFormOnly(resource map[string]any) {
	j.t.Helper()
	named, there := resource["chat_service_sid"]
	require.Equal(j.t, j.in != "", there, "chat_service_sid belongs to the service form")
	if there {
		require.Equal(j.t, j.in, named)
	}
}

// gone checks that something cannot be fetched any more.
func (j *judge) gone(operation string, path ...string) {
	j.t.Helper()
	_, err := j.try(operation, path, nil)
	requireRefused(j.t, err, 404, 20404)
}

// sids lists the SIDs of resources.
func sids(resources []map[string]any) []string {
	list := make([]string, len(resources))
	for i, r := range resources {
		list[i] = str(r, "sid")
	}
	return list
}

// conversation makes one with the Messaging Service attached.
func (j *judge) conversation() string {
	j.t.Helper()
	return str(j.do("CreateConversation", nil, params{"MessagingServiceSid": messagingService}), "sid")
}

// number is a phone number that no other test has.
func number() string {
	id := uuid.New()
	n := uint64(0)
	for _, b := range id[:8] {
		n = n<<8 | uint64(b)
	}
	return fmt.Sprintf("+1212%07d", n%10_000_000)
}

func judgeConversations(j *judge) {
	begin := time.Date(2020, 1, 2, 3, 4, 5, 0, time.FixedZone("", 2*60*60))
	made := j.do("CreateConversation", nil, params{
		"FriendlyName": "Order 1042", "UniqueName": "order-1042", "Attributes": `{"tier":  "gold", "note":"<&>"}`,
		"MessagingServiceSid": messagingService, "State": "inActive", "Timers.Closed": "PT10M",
		"DateCreated": begin, "DateUpdated": begin.Add(time.Hour), "X-Twilio-Webhook-Enabled": "true",
		"Bindings.Email.Address": "shop@example.com", "Bindings.Email.Name": "Shop",
	})
	sid, url := j.sid("CH", made), j.root()+"/Conversations/"+str(made, "sid")
	j.serviceNamed(made)
	require.Equal(j.t, map[string]any{
		"sid": sid, "account_sid": j.account, "chat_service_sid": j.home(), "messaging_service_sid": messagingService,
		"friendly_name": "Order 1042", "unique_name": "order-1042", "attributes": `{"tier":  "gold", "note":"<&>"}`, "state": "inactive",
		"date_created": "2020-01-02T01:04:05Z", "date_updated": "2020-01-02T02:04:05Z", "timers": made["timers"],
		"bindings": map[string]any{"email": map[string]any{"projected_address": "shop@example.com", "name": "Shop"}}, "url": url,
		"links": map[string]any{"participants": url + "/Participants", "messages": url + "/Messages", "webhooks": url + "/Webhooks", "export": url + "/Export"},
	}, made)
	require.NotEmpty(j.t, str(made, "timers", "date_closed"))
	require.Nil(j.t, at(made, "timers", "date_inactive"), "it is inactive already")
	require.Equal(j.t, made, j.do("FetchConversation", []string{"order-1042"}, nil), "by unique name")

	changed := j.do("UpdateConversation", []string{sid}, params{"State": "active", "Timers.Inactive": "PT1M", "FriendlyName": "", "Attributes": "{}"})
	require.Equal(j.t, "active", changed["state"])
	require.Nil(j.t, changed["friendly_name"])
	j.attributes(changed, "{}")
	j.recent(changed["date_updated"])
	require.Equal(j.t, 10*time.Minute, j.instant(changed, "timers", "date_closed").Sub(j.instant(changed, "timers", "date_inactive")))
	require.WithinDuration(j.t, time.Now().Add(time.Minute), j.instant(changed, "timers", "date_inactive"), 5*time.Second)
	changed = j.do("UpdateConversation", []string{sid}, params{"Timers.Inactive": "PT0S", "Timers.Closed": "PT0S"})
	require.Empty(j.t, changed["timers"])
	require.Equal(j.t, changed, j.do("UpdateConversation", []string{sid}, params{}), "nothing given changes nothing")

	plain := j.do("CreateConversation", nil, nil)
	for _, field := range []string{"messaging_service_sid", "friendly_name", "unique_name"} {
		require.Nil(j.t, plain[field])
	}
	require.Equal(j.t, "active", plain["state"])
	j.attributes(plain, "{}")
	require.Empty(j.t, plain["timers"])
	require.Empty(j.t, plain["bindings"])
	j.recent(plain["date_created"])
	require.Equal(j.t, plain["date_created"], plain["date_updated"])
	listed := sids(j.all("ListConversation", nil, nil))
	require.Contains(j.t, listed, sid)
	require.Contains(j.t, listed, plain["sid"])
	j.do("DeleteConversation", []string{sid}, params{"X-Twilio-Webhook-Enabled": "true"})
	j.gone("FetchConversation", sid)
	j.gone("FetchConversation", "order-1042")
}

func (j *judge) instant(v any, path ...string) time.Time {
	j.t.Helper()
	instant, err := time.Parse(time.RFC3339, str(v, path...))
	require.NoError(j.t, err)
	return instant
}

func judgeParticipants(j *judge) {
	in := j.conversation()
	chat := j.do("CreateConversationParticipant", []string{in}, params{"Identity": "alice", "Attributes": `{"a": 1}`, "X-Twilio-Webhook-Enabled": "true"})
	sid := j.sid("MB", chat)
	j.serviceFormOnly(chat)
	j.recent(chat["date_created"])
	require.Equal(j.t, j.root()+"/Conversations/"+in+"/Participants/"+sid, chat["url"])
	require.Equal(j.t, in, chat["conversation_sid"])
	require.Equal(j.t, "alice", chat["identity"])
	j.attributes(chat, `{"a": 1}`)
	require.Equal(j.t, j.within(j.home()).do("FetchServiceConfiguration", nil, nil)["default_conversation_role_sid"], chat["role_sid"])
	for _, field := range []string{"messaging_binding", "last_read_message_index", "last_read_timestamp"} {
		require.Nil(j.t, chat[field])
	}
	require.Equal(j.t, "alice", str(j.do("FetchUser", []string{"alice"}, nil), "identity"), "a user is made when it is missing")

	phone := number()
	sms := j.do("CreateConversationParticipant", []string{in}, params{"MessagingBinding.Address": phone, "MessagingBinding.ProxyAddress": ourNumber})
	require.Equal(j.t, map[string]any{"type": "sms", "address": phone, "proxy_address": ourNumber}, sms["messaging_binding"])
	require.Nil(j.t, sms["identity"])
	require.Nil(j.t, sms["role_sid"])
	whatsapp := j.do("CreateConversationParticipant", []string{in}, params{"MessagingBinding.Address": "whatsapp:" + phone, "MessagingBinding.ProxyAddress": ourWhatsApp})
	require.Equal(j.t, map[string]any{"type": "whatsapp", "address": "whatsapp:" + phone, "proxy_address": ourWhatsApp}, whatsapp["messaging_binding"])

	j.do("CreateConversationMessage", []string{in}, params{"Body": "read me"})
	role := str(j.do("CreateRole", nil, params{"FriendlyName": "reader", "Type": "conversation", "Permission": []string{"leaveConversation"}}), "sid")
	changed := j.do("UpdateConversationParticipant", []string{in, "alice"}, params{
		"Attributes": `{"a":2}`, "RoleSid": role, "LastReadMessageIndex": 0, "LastReadTimestamp": "2026-03-01T10:00:00+01:00",
		"DateUpdated": time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
	})
	require.Equal(j.t, sid, changed["sid"])
	require.Equal(j.t, role, changed["role_sid"])
	require.EqualValues(j.t, 0, changed["last_read_message_index"])
	require.Equal(j.t, "2026-03-01T09:00:00Z", changed["last_read_timestamp"])
	require.Equal(j.t, "2026-03-01T09:00:00Z", changed["date_updated"])
	require.Equal(j.t, changed, j.do("FetchConversationParticipant", []string{in, sid}, nil))
	require.Equal(j.t, changed, j.do("FetchConversationParticipant", []string{in, "alice"}, nil), "by identity")
	require.Equal(j.t, []string{sid, str(sms, "sid"), str(whatsapp, "sid")}, sids(j.all("ListConversationParticipant", []string{in}, nil)))
	j.do("DeleteConversationParticipant", []string{in, sid}, nil)
	j.gone("FetchConversationParticipant", in, sid)
}

func judgeGroup(j *judge) {
	in, mask := j.conversation(), number()
	member := number()
	native := j.do("CreateConversationParticipant", []string{in}, params{"MessagingBinding.Address": member})
	require.Equal(j.t, map[string]any{"type": "sms", "address": member}, native["messaging_binding"])
	require.Nil(j.t, native["role_sid"])
	projected := j.do("CreateConversationParticipant", []string{in}, params{"MessagingBinding.ProjectedAddress": mask})
	require.Equal(j.t, map[string]any{"type": "sms", "projected_address": mask}, projected["messaging_binding"])
	named := j.do("UpdateConversationParticipant", []string{in, str(projected, "sid")}, params{"Identity": "bob"})
	require.Equal(j.t, "bob", named["identity"])
	require.Equal(j.t, projected["messaging_binding"], named["messaging_binding"])
	plain := j.do("UpdateConversationParticipant", []string{j.aside(), "bob"}, params{"MessagingBinding.ProjectedAddress": "null"})
	require.Nil(j.t, plain["messaging_binding"], "the text null takes a projected address away")
	phone := number()
	alone := j.conversation()
	reached := str(j.do("CreateConversationParticipant", []string{alone}, sms(phone)), "sid")
	changed := j.do("UpdateConversationParticipant", []string{alone, reached}, params{"MessagingBinding.ProxyAddress": "null"})
	require.Equal(j.t, map[string]any{"type": "sms", "address": phone}, changed["messaging_binding"], "and a proxy address")
	changed = j.do("UpdateConversationParticipant", []string{alone, reached}, params{"MessagingBinding.ProxyAddress": ourNumber})
	require.Equal(j.t, map[string]any{"type": "sms", "address": phone, "proxy_address": ourNumber}, changed["messaging_binding"])
}

// aside is a conversation where bob takes part behind a number.
func (j *judge) aside() string {
	j.t.Helper()
	in := j.conversation()
	j.do("CreateConversationParticipant", []string{in}, params{"Identity": "bob", "MessagingBinding.ProjectedAddress": number()})
	return in
}

func judgeMessages(j *judge) {
	in := j.conversation()
	alice := str(j.do("CreateConversationParticipant", []string{in}, params{"Identity": "alice"}), "sid")
	at := time.Date(2021, 5, 6, 7, 8, 9, 0, time.UTC)
	hello := j.do("CreateConversationMessage", []string{in}, params{
		"Author": "alice", "Body": "hello <b>&amp;", "Attributes": `{"k":[1, 2]}`, "Subject": "never returned",
		"DateCreated": at, "DateUpdated": at.Add(time.Second), "X-Twilio-Webhook-Enabled": "true",
	})
	sid, url := j.sid("IM", hello), j.root()+"/Conversations/"+in+"/Messages/"+str(hello, "sid")
	j.serviceFormOnly(hello)
	delete(hello, "chat_service_sid")
	require.Equal(j.t, map[string]any{
		"sid": sid, "account_sid": j.account, "conversation_sid": in, "index": float64(0), "author": "alice", "body": "hello <b>&amp;",
		"media": nil, "attributes": `{"k":[1, 2]}`, "participant_sid": alice, "date_created": "2021-05-06T07:08:09Z",
		"date_updated": "2021-05-06T07:08:10Z", "delivery": nil, "content_sid": nil, "url": url,
		"links": map[string]any{"delivery_receipts": url + "/Receipts", "channel_metadata": url + "/ChannelMetadata"},
	}, hello)
	system := j.do("CreateConversationMessage", []string{in}, params{"Body": "from nobody"})
	require.Equal(j.t, "system", system["author"])
	require.Nil(j.t, system["participant_sid"])
	require.EqualValues(j.t, 1, system["index"])
	j.attributes(system, "{}")

	upload := j.must("POST", "/v1/Services/"+j.home()+"/Media?Filename=cat.png", form("a", "b"), "Content-Type", "image/png")
	media := j.do("CreateConversationMessage", []string{in}, params{"MediaSid": upload.str("sid")})
	require.Nil(j.t, media["body"])
	require.Equal(j.t, []any{map[string]any{"sid": upload.str("sid"), "size": float64(3), "content_type": "image/png", "filename": "cat.png"}}, media["media"])
	content := j.do("CreateConversationMessage", []string{in}, params{"ContentSid": "HX" + strings.Repeat("a", 32), "ContentVariables": `{"1":"x"}`, "Body": "ignored"})
	require.Equal(j.t, "HX"+strings.Repeat("a", 32), content["content_sid"])

	changed := j.do("UpdateConversationMessage", []string{in, sid}, params{"Body": "goodbye", "Author": "bob", "Attributes": "{}", "Subject": "s"})
	require.Equal(j.t, "goodbye", changed["body"])
	require.Equal(j.t, "bob", changed["author"])
	require.Nil(j.t, changed["participant_sid"])
	j.recent(changed["date_updated"])
	require.Equal(j.t, changed, j.do("FetchConversationMessage", []string{in, sid}, nil))
	require.Equal(j.t, []string{sid, str(system, "sid"), str(media, "sid"), str(content, "sid")}, sids(j.all("ListConversationMessage", []string{in}, nil)))
	newest := sids(j.all("ListConversationMessage", []string{in}, params{"Order": "desc", "Limit": 2}))
	require.Equal(j.t, []string{str(content, "sid"), str(media, "sid")}, newest)
	j.do("DeleteConversationMessage", []string{in, str(system, "sid")}, params{"X-Twilio-Webhook-Enabled": "false"})
	j.gone("FetchConversationMessage", in, str(system, "sid"))
	next := j.do("CreateConversationMessage", []string{in}, params{"Body": "after a gap"})
	require.EqualValues(j.t, 4, next["index"], "an index is never given twice")
}

func judgeReceipts(j *judge) {
	in := j.conversation()
	var members []string
	for range 3 {
		members = append(members, str(j.do("CreateConversationParticipant", []string{in}, params{"MessagingBinding.Address": number(), "MessagingBinding.ProxyAddress": ourNumber}), "sid"))
	}
	message := j.do("CreateConversationMessage", []string{in}, params{"Body": "to three"})
	summary := func() any {
		return j.do("FetchConversationMessage", []string{in, str(message, "sid")}, nil)["delivery"]
	}
	expect := func(sent, delivered, read, failed, undelivered string) map[string]any {
		return map[string]any{"total": float64(3), "sent": sent, "delivered": delivered, "read": read, "failed": failed, "undelivered": undelivered}
	}
	require.Equal(j.t, expect("none", "none", "none", "none", "none"), message["delivery"])
	require.Empty(j.t, j.all("ListConversationMessageReceipt", []string{in, str(message, "sid")}, nil))
	report := func(member int, status, more string) string {
		return j.inService(j.home(), "conversation.record-delivery", in,
			fmt.Sprintf(`{"message":%q,"participant":%q,"status":%q%s}`, message["sid"], members[member], status, more)).Sid
	}
	first := report(0, "delivered", `,"channel_message":"SM00000000000000000000000000000001"`)
	report(0, "sent", "")
	report(1, "read", "")
	failed := report(2, "failed", `,"error_code":30003`)
	require.Equal(j.t, expect("some", "some", "some", "some", "none"), summary())

	list := j.all("ListConversationMessageReceipt", []string{in, str(message, "sid")}, nil)
	require.Len(j.t, list, 3)
	receipt := j.do("FetchConversationMessageReceipt", []string{in, str(message, "sid"), first}, nil)
	require.Equal(j.t, first, j.sid("DY", receipt))
	j.serviceFormOnly(receipt)
	j.recent(receipt["date_created"])
	j.recent(receipt["date_updated"])
	require.Equal(j.t, "delivered", receipt["status"], "a late sent changes nothing")
	require.EqualValues(j.t, 0, receipt["error_code"])
	require.Equal(j.t, "SM00000000000000000000000000000001", receipt["channel_message_sid"])
	require.Equal(j.t, members[0], receipt["participant_sid"])
	require.Equal(j.t, message["sid"], receipt["message_sid"])
	require.Equal(j.t, in, receipt["conversation_sid"])
	require.Equal(j.t, str(message, "url")+"/Receipts/"+first, receipt["url"])
	bad := j.do("FetchConversationMessageReceipt", []string{in, str(message, "sid"), failed}, nil)
	require.Equal(j.t, "failed", bad["status"])
	require.EqualValues(j.t, 30003, bad["error_code"])
	report(2, "delivered", "")
	report(0, "read", "")
	report(2, "read", "")
	require.Equal(j.t, expect("all", "all", "all", "none", "none"), summary())
}
