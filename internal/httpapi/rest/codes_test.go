package rest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// line is what becomes of one of Twilio's error codes on this surface: how it is
// provoked and what arrives, or why it cannot be.
type line struct {
	code    int
	status  int                // of HTTP; 0: it does not occur
	arrives int                // the code that arrives
	detail  string             // Parley's own code, in the details
	says    string             // within the message
	by      func(*stage) error // provokes it
	why     string             // it does not occur
}

func refused(code, status int, detail string, by func(*stage) error) line {
	return line{code: code, status: status, arrives: code, detail: detail, by: by}
}

// missing is a code that says that what the path names is not there.
func missing(code int, by func(*stage) error) line {
	return line{code: code, status: 404, arrives: 20404, says: "was not found", by: by}
}

func (l line) saying(text string) line {
	l.says = text
	return l
}

func absent(why string, codes ...int) (lines []line) {
	for _, code := range codes {
		lines = append(lines, line{code: code, why: why})
	}
	return lines
}

// catalogue are the codes that Twilio has for conversations.
var catalogue = []int{
	20001, 20003, 20004, 20007, 20403, 20404, 20409, 20422, 20429, 20500,
	50000, 50001, 50002, 50003, 50004, 50006, 50050, 50051, 50054, 50055, 50056, 50057, 50058, 50059, 50063, 50068, 50069, 50074, 50076,
	50100, 50101, 50102, 50103, 50104, 50105, 50106, 50107, 50109,
	50200, 50201, 50202, 50203, 50204, 50205, 50206, 50207, 50209, 50210, 50211, 50213, 50214,
	50303, 50304, 50308, 50309, 50310, 50340, 50341, 50342, 50347, 50350, 50351, 50353, 50360, 50361, 50362, 50363, 50364, 50365, 50366,
	50367, 50368, 50369, 50370, 50371, 50372, 50373, 50374, 50375, 50376, 50377, 50378, 50379, 50380, 50382, 50384, 50385, 50386, 50390,
	50391, 50392, 50393, 50396,
	50407, 50408, 50409, 50411, 50412, 50413, 50414, 50415, 50416, 50417, 50418, 50419, 50420, 50421, 50422, 50424, 50425, 50426, 50427,
	50430, 50431, 50432, 50433, 50434, 50435, 50436, 50437, 50438, 50439, 50440, 50441, 50442, 50443, 50444, 50449, 50451, 50452, 50453,
	50500, 50501, 50502, 50503, 50504, 50506, 50507, 50508, 50509, 50510, 50511, 50512, 50513, 50514, 50516, 50526, 50527, 50528, 50529,
	50530, 50531, 50532, 50533, 50534, 50540, 50541, 50542,
	50600, 50601, 50602, 50610, 50700, 50701, 50702, 50703, 50704, 50705, 50706, 50707, 50708, 50709, 50710, 50711, 80102,
}

func lines() []line {
	return slices.Concat(generalLines(), serviceLines(), personLines(), conversationLines(), webhookLines(),
		participantLines(), groupLines(), messageLines(), absentLines())
}

func TestEveryCodeOfTwiliosIsProvokedOrExplained(t *testing.T) {
	explained := map[int]bool{}
	for _, l := range lines() {
		require.Contains(t, catalogue, l.code)
		require.True(t, l.by != nil || l.why != "", "%d", l.code)
		explained[l.code] = true
	}
	for _, code := range catalogue {
		require.True(t, explained[code], "nothing is said of %d", code)
	}
}

func TestErrorsArriveAsTwiliosLibraryKnowsThem(t *testing.T) {
	s := newStage(t)
	for _, l := range lines() {
		if l.by == nil {
			continue
		}
		t.Run(fmt.Sprint(l.code), func(t *testing.T) {
			mine, judge, there := *s, *s.judge, *s.world
			there.t, judge.t, judge.world, mine.judge = t, t, &there, &judge
			got := requireRefused(t, l.by(&mine), l.status, l.arrives)
			require.Contains(t, got.Message, l.says)
			require.NotContains(t, got.Message, "%!", "a message is for people")
			require.Equal(t, fmt.Sprintf("https://www.twilio.com/docs/errors/%d", l.arrives), got.MoreInfo)
			if field, _ := got.Details["field"].(string); field != "" {
				require.Regexp(t, "^[A-Z]", field, "a parameter or a header, as it was written")
			}
			if l.detail != "" {
				require.Equal(t, l.detail, got.Details["code"])
			}
			if l.status < 500 && l.status != 429 {
				require.Nil(t, got.Details["retryable"], "nothing gets better by trying again")
			}
		})
	}
}

func TestUnknownParametersAreIgnored(t *testing.T) {
	w := newWorld(t)
	made := w.must("POST", "/v1/Conversations", form("FriendlyName", "a", "Colour", "red", "friendlyname", "b"))
	require.Equal(t, "a", made.str("friendly_name"))
	w.must("GET", "/v1/Conversations", form("Colour", "red"))
}

func TestAnUpdateWithoutParametersChangesNothing(t *testing.T) {
	w := newWorld(t)
	made := w.must("POST", "/v1/Conversations", nil)
	before := w.events()
	got := w.must("POST", "/v1/Conversations/"+made.str("sid"), nil)
	require.Equal(t, made.text, got.text)
	require.Equal(t, before, w.events())
}

func TestAPairInUseNamesItsConversationAndIsFreedByClosing(t *testing.T) {
	w := newWorld(t)
	w.attachable()
	j := w.judge(t)
	holder, second, pair := j.conversation(), j.conversation(), sms(number())
	j.do("CreateConversationParticipant", []string{holder}, pair)
	for state := range strings.FieldsSeq("active inactive") {
		j.do("UpdateConversation", []string{holder}, params{"State": state})
		_, err := j.try("CreateConversationParticipant", []string{second}, pair)
		got := requireRefused(t, err, 409, 50416)
		require.Equal(t, "A binding for this participant and proxy address already exists in Conversation "+holder, got.Message)
	}
	j.do("UpdateConversation", []string{holder}, params{"State": "closed"})
	j.do("CreateConversationParticipant", []string{second}, pair)
}

func TestAClosedConversationKeepsItsUniqueNameUntilItIsDeleted(t *testing.T) {
	w := newWorld(t)
	j := w.judge(t)
	first := str(j.do("CreateConversation", nil, params{"UniqueName": "one"}), "sid")
	j.do("UpdateConversation", []string{first}, params{"State": "closed"})
	_, err := j.try("CreateConversation", nil, params{"UniqueName": "one"})
	got := requireRefused(t, err, 409, 50353)
	require.Equal(t, "Conversation with provided unique name already exists", got.Message, "clients compare the text")
	j.do("DeleteConversation", []string{first}, nil)
	j.do("CreateConversation", nil, params{"UniqueName": "one"})
}

func TestAClosedConversationRefusesAllButErasure(t *testing.T) {
	w := newWorld(t)
	w.attachable()
	j := w.judge(t)
	in := j.conversation()
	j.do("CreateConversationParticipant", []string{in}, chat("alice"))
	message := str(j.do("CreateConversationMessage", []string{in}, params{"Body": "m"}), "sid")
	webhook := str(j.do("CreateConversationScopedWebhook", []string{in}, params{"Target": "studio", "Configuration.FlowSid": "FW" + strings.Repeat("1", 32)}), "sid")
	j.do("UpdateConversation", []string{in}, params{"State": "closed"})
	for _, attempt := range []struct {
		operation string
		path      []string
		p         params
	}{
		{"UpdateConversation", []string{in}, params{"State": "active"}},
		{"UpdateConversation", []string{in}, params{"State": "closed"}},
		{"UpdateConversation", []string{in}, params{"FriendlyName": "f"}},
		{"UpdateConversation", []string{in}, params{"Timers.Closed": "P1D"}},
		{"CreateConversationParticipant", []string{in}, chat("bob")},
		{"UpdateConversationParticipant", []string{in, "alice"}, params{"Attributes": "{}"}},
		{"CreateConversationMessage", []string{in}, params{"Body": "m"}},
		{"UpdateConversationMessage", []string{in, message}, params{"Body": "n"}},
		{"CreateConversationScopedWebhook", []string{in}, params{"Target": "studio", "Configuration.FlowSid": "FW" + strings.Repeat("1", 32)}},
	} {
		_, err := j.try(attempt.operation, attempt.path, attempt.p)
		requireRefused(t, err, 400, 50377)
	}
	require.Equal(t, "muted", j.do("UpdateUserConversation", []string{"alice", in}, params{"NotificationLevel": "muted"})["notification_level"])
	j.do("UpdateConversationParticipant", []string{in, "alice"}, params{"LastReadMessageIndex": 0})
	j.do("DeleteConversationMessage", []string{in, message}, nil)
	j.do("DeleteConversationScopedWebhook", []string{in, webhook}, nil)
	j.do("DeleteConversationParticipant", []string{in, "alice"}, nil)
	j.do("DeleteConversation", []string{in}, nil)
}
