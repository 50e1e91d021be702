package conversation_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

func report(status, participant string, code int) conversation.RecordDelivery {
	return conversation.RecordDelivery{
		Issue: by(4), Message: im(1), Participant: participant, Status: status, ErrorCode: code, ChannelMessage: "SM1",
	}
}

// heard is what a report comes to.
func heard(status string, evidence bool) events.DeliveryUpdated {
	return events.DeliveryUpdated{
		Receipt: domain.SID("DY", im(1)+":"+mb(2)), Message: im(1), Participant: mb(2), ChannelMessage: "SM1",
		Status: status, Evidence: evidence, At: at(4),
	}
}

func TestRecordDelivery(t *testing.T) {
	given := history(created(), chat(1, "ann"), sms(2, alice, proxy), posted(1, 0, "ann", mb(1), mb(2)))
	after := func(status string) []events.Event { return history(given, []events.Event{heard(status, false)}) }
	failed := heard("failed", false)
	failed.ErrorCode = 30008
	read := []events.Event{heard("read", false), events.ReadHorizonMoved{Participant: mb(2), Index: 0, ReadAt: at(4), At: at(4)}}

	run(t, []row{
		{name: "the first report opens the receipt", given: given, when: report("queued", mb(2), 0), then: []events.Event{heard("queued", false)}},
		{name: "the recipient may be named by address", given: given, when: report("SENT", alice, 0), then: []events.Event{heard("sent", false)}},
		{name: "an error code belongs to failures", given: given, when: report("failed", mb(2), 30008), then: []events.Event{failed}},
		{name: "and to nothing else", given: given, when: report("delivered", mb(2), 30008), then: []events.Event{heard("delivered", false)}},
		{name: "a repeat is nothing", given: after("sent"), when: report("sent", mb(2), 0)},
		{name: "a step back is nothing", given: after("delivered"), when: report("sent", mb(2), 0)},
		{name: "a late failure is nothing", given: after("delivered"), when: report("failed", mb(2), 30008)},
		{name: "failed ends it", given: after("failed"), when: report("sent", mb(2), 0)},
		{name: "undelivered ends it", given: after("undelivered"), when: report("failed", mb(2), 0)},
		{name: "delivered after failed is evidence", given: after("failed"), when: report("delivered", mb(2), 0), then: []events.Event{heard("delivered", true)}},
		{name: "undelivered after failed is too: the channel knows better", given: after("failed"), when: report("undelivered", mb(2), 0), then: []events.Event{heard("undelivered", true)}},
		{name: "reading moves the reader's horizon", given: given, when: report("read", mb(2), 0), then: read},
		{name: "but never back", given: history(given, posted(2, 1, "x", "", mb(2)), horizon(2, 1)), when: report("read", mb(2), 0), then: read[:1]},
		{name: "after the recipient left", given: history(given, left(2)), when: report("delivered", mb(2), 0), then: []events.Event{heard("delivered", false)}},
		{name: "by address after the recipient left, without a horizon", given: history(given, left(2)), when: report("read", alice, 0), then: read[:1]},
		{name: "after the conversation closed", given: history(given, closed()), when: report("read", mb(2), 0), then: read},
		{name: "for a message that was removed there is nothing to do", given: history(given, erased(1)), when: report("sent", mb(2), 0)},
		{name: "nor for a conversation that was removed", given: history(given, gone()), when: report("sent", mb(2), 0)},
		{name: "of the two participants of one address the recipient is meant", given: history(created(), sms(3, alice, proxy2), left(3), sms(2, alice, proxy), posted(1, 0, "x", "", mb(2))),
			when: report("sent", alice, 0), then: []events.Event{heard("sent", false)}},

		{name: "an unknown status", given: given, when: report("lost", mb(2), 0), no: invalid("status_invalid", "status", 0)},
		{name: "no status", given: given, when: report("", mb(2), 0), no: invalid("status_invalid", "status", 0)},
		{name: "an unknown message", given: created(), when: report("sent", mb(2), 0), no: missing("message_not_found", "message", 50500)},
		{name: "somebody in chat", given: given, when: report("sent", mb(1), 0), no: invalid("not_a_recipient", "participant", 0)},
		{name: "somebody who came later", given: history(given, sms(3, bob, proxy)), when: report("sent", bob, 0), no: invalid("not_a_recipient", "participant", 0)},
		{name: "nobody", given: given, when: report("sent", "+4912345678", 0), no: missing("participant_not_found", "participant", 50432)},
		{name: "no participant given", given: given, when: report("sent", "", 0), no: missing("participant_not_found", "participant", 50432)},
		{name: "users report no deliveries", given: given, when: conversation.RecordDelivery{
			Issue: user(4, "ann", nil, nil), Message: im(1), Participant: mb(2), Status: "sent",
		}, no: forbidden("server_side_only", "", 50107)},
		{name: "a conversation that never was", when: report("sent", mb(2), 0), no: missing("conversation_not_found", "", 20404)},
	})
}

// Whatever the order of a channel's reports and however often they come, the
// receipt ends in the same place.
func TestReceiptsEndAlikeInAnyOrder(t *testing.T) {
	all := []string{"queued", "sent", "delivered", "read", "failed", "undelivered"}
	given := history(created(), sms(2, alice, proxy), posted(1, 0, "x", "", mb(2)))
	end := func(t *rapid.T, reports []string) (status string, horizon int64) {
		s := fold(given)
		for _, r := range reports {
			es, err := conversation.Decide(s, report(r, mb(2), 0))
			require.NoError(t, err)
			for _, e := range es {
				if d, ok := e.(events.DeliveryUpdated); ok {
					status = d.Status
				}
			}
			s = foldOn(s, es)
		}
		return status, s.Participants[mb(2)].LastRead
	}
	rapid.Check(t, func(t *rapid.T) {
		once := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, len(all), rapid.ID).Draw(t, "reports")
		repeats := rapid.SliceOf(rapid.SampledFrom(once)).Draw(t, "repeats")
		shuffled := rapid.Permutation(append(slices.Clone(once), repeats...)).Draw(t, "order")

		status, horizon := end(t, once)
		again, horizonAgain := end(t, shuffled)
		require.Equal(t, status, again)
		require.Equal(t, horizon, horizonAgain)
		require.Equal(t, best(once), status)
	})
}

// best is the naive answer: the word of the most trusted report.
func best(reports []string) string {
	for _, status := range []string{"read", "delivered", "undelivered", "failed", "sent", "queued"} {
		if slices.Contains(reports, status) {
			return status
		}
	}
	return ""
}
