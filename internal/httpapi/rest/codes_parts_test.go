package rest_test

import (
	"fmt"
	"strings"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// participant adds to the open conversation.
func participant(p params) func(*stage) error {
	return func(s *stage) error { return s.call("CreateConversationParticipant", []string{s.open}, p) }
}

// rebound adds a participant to a conversation of its own, and changes it.
func rebound(first, change params) func(*stage) error {
	return func(s *stage) error {
		in := s.conversation()
		sid := str(s.do("CreateConversationParticipant", []string{in}, first), "sid")
		return s.call("UpdateConversationParticipant", []string{in, sid}, change)
	}
}

// full has one too many participants added where there is room for few.
func full(participants ...params) func(*stage) error {
	return func(s *stage) error {
		small := s.beside(engine.Options{GroupMMS: true, Limits: conversation.Limits{Participants: 4, NonChatParticipants: 3, GroupSize: 3}}, nil)
		at := s.by(small.judge(s.t))
		in := at.with(participants[1:]...)
		return at.call("CreateConversationParticipant", []string{in}, participants[0])
	}
}

func pair(address, proxy string) params {
	return params{"MessagingBinding.Address": address, "MessagingBinding.ProxyAddress": proxy}
}

// strict adds where the Messaging Service names its senders.
func strict(p params) func(*stage) error {
	return func(s *stage) error {
		in := str(s.do("CreateConversation", nil, params{"MessagingServiceSid": strictService}), "sid")
		return s.call("CreateConversationParticipant", []string{in}, p)
	}
}

func participantLines() []line {
	return []line{
		refused(50101, 404, "role_not_found", participant(params{"Identity": "bob", "RoleSid": nothing("RL")})),
		refused(50103, 400, "role_missing", rebound(chat("bob"), params{"RoleSid": ""})),
		refused(50105, 400, "role_type_invalid", func(s *stage) error {
			role := str(s.within(s.home()).do("FetchServiceConfiguration", nil, nil), "default_chat_service_role_sid")
			return s.call("CreateConversationParticipant", []string{s.open}, params{"Identity": "bob", "RoleSid": role})
		}),
		refused(50211, 400, "identity_not_allowed", participant(params{"Identity": "bob", "MessagingBinding.Address": "+15550001234"})),
		refused(50214, 403, "too_many_conversations", func(s *stage) error {
			at := s.by(s.beside(engine.Options{Limits: conversation.Limits{OpenConversations: 1}}, nil).judge(s.t))
			at.with(chat("busy"))
			return at.call("CreateConversationParticipant", []string{at.conversation()}, chat("busy"))
		}),
		refused(50373, 400, "messaging_service_missing", func(s *stage) error {
			in := str(s.do("CreateConversation", nil, nil), "sid")
			return s.call("CreateConversationParticipant", []string{in}, sms(number()))
		}),
		refused(50407, 400, "address_invalid", participant(pair("+0123", ourNumber))),
		refused(50408, 400, "proxy_address_invalid", participant(pair("+15550001234", "+0123"))),
		refused(50409, 400, "address_equals_proxy", participant(pair(ourNumber, ourNumber))),
		refused(50411, 400, "address_missing", participant(params{"MessagingBinding.ProxyAddress": ourNumber})),
		refused(50412, 400, "proxy_address_empty", participant(native("whatsapp:+15550001234"))),
		refused(50413, 403, "proxy_address_foreign", strict(pair("+15550001234", "+15550009999"))),
		refused(50414, 400, "channels_differ", participant(pair("+15550001234", ourWhatsApp))),
		refused(50415, 400, "proxy_address_not_whatsapp", strict(pair("whatsapp:+15550001234", ourWhatsApp))),
		refused(50416, 409, "address_pair_taken", func(s *stage) error {
			phone := number()
			s.with(sms(phone))
			return s.call("CreateConversationParticipant", []string{s.open}, sms(phone))
		}).saying("already exists in Conversation CH"),
		refused(50417, 403, "too_many_participants", full(chat("a"), chat("b"), chat("c"), chat("d"), chat("e"))),
		refused(50420, 400, "binding_not_email", func(s *stage) error {
			return s.raw("POST", "/v1/Conversations/"+s.open+"/Participants",
				form("MessagingBinding.Address", "+15550001234", "MessagingBinding.ProxyAddress", ourNumber, "MessagingBinding.Level", "to"))
		}),
		refused(50421, 400, "read_index_invalid", func(s *stage) error {
			return s.call("UpdateConversationParticipant", []string{s.open, "alice"}, params{"LastReadMessageIndex": 99})
		}),
		refused(50421, 400, "read_index_invalid", func(s *stage) error {
			return s.call("UpdateUserConversation", []string{"alice", s.open}, params{"LastReadMessageIndex": -1})
		}),
		refused(50421, 400, "invalid_parameter", func(s *stage) error {
			return s.raw("POST", "/v1/Conversations/"+s.open+"/Participants/alice", form("LastReadMessageIndex", "last"))
		}),
		refused(50422, 403, "too_many_non_chat_participants", full(sms(number()), sms(number()), sms(number()), sms(number()))),
		missing(50432, func(s *stage) error {
			return s.call("UpdateConversationParticipant", []string{s.open, nothing("MB")}, params{"Attributes": "{}"})
		}),
		refused(50433, 409, "participant_exists", participant(chat("alice"))).saying("Participant already exists"),
		refused(50440, 400, "proxy_address_not_removable", rebound(chat("bob"), params{"MessagingBinding.ProxyAddress": "null"})),
		refused(50441, 400, "proxy_address_not_addable", rebound(chat("bob"), params{"MessagingBinding.ProxyAddress": ourNumber})),
		refused(50442, 400, "projected_address_not_addable", rebound(sms(number()), params{"MessagingBinding.ProjectedAddress": "+12125550000"})),
		refused(50443, 400, "projected_address_not_removable", rebound(chat("bob"), params{"MessagingBinding.ProjectedAddress": "null"})),
		refused(50444, 400, "identity_not_changeable", rebound(chat("bob"), chat("rob"))),
		refused(50453, 400, "proxy_address_unsupported", participant(pair("+15550001234", "MYBRAND"))),
	}
}

func groupLines() []line {
	// added is one more where others are in a group already.
	added := func(p params, others ...params) func(*stage) error {
		return func(s *stage) error { return s.call("CreateConversationParticipant", []string{s.with(others...)}, p) }
	}
	first := number()
	return []line{
		refused(50434, 400, "projected_address_missing", added(chat("bob"), native(number()))),
		refused(50435, 400, "group_mixed", added(sms(number()), native(number()))),
		refused(50436, 400, "group_too_big", full(native(number()), native(number()), native(number()), native(number()))),
		refused(50437, 409, "group_member_exists", added(native(first), native(first))),
		refused(50438, 409, "group_taken", func(s *stage) error {
			a, b, c := native(number()), native(number()), native(number())
			s.with(a, b, c)
			return s.call("CreateConversationParticipant", []string{s.with(c, a)}, b)
		}).saying("Conversation CH"),
		refused(50439, 403, "projected_address_foreign", strict(params{"Identity": "bob", "MessagingBinding.ProjectedAddress": number()})),
		refused(50452, 403, "group_mms_off", func(s *stage) error {
			at := s.by(s.beside(engine.Options{}, nil).judge(s.t))
			return at.call("CreateConversationParticipant", []string{at.conversation()}, native(number()))
		}),
		refused(50513, 400, "author_not_in_group", func(s *stage) error {
			in := s.with(native(number()), native(number()), native(number()))
			return s.call("CreateConversationMessage", []string{in}, params{"Author": "stranger", "Body": "hi"})
		}),
	}
}

// message is sent to the open conversation.
func message(p params) func(*stage) error {
	return func(s *stage) error { return s.call("CreateConversationMessage", []string{s.open}, p) }
}

func messageLines() []line {
	content := func(variables string) func(*stage) error {
		return message(params{"ContentSid": nothing("HX"), "ContentVariables": variables})
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf(`"%d":""`, i)
	}
	return []line{
		refused(50303, 400, "attributes_too_long", message(params{"Body": "b", "Attributes": `"` + long(4<<10) + `"`})),
		refused(50304, 400, "attributes_invalid", message(params{"Body": "b", "Attributes": "nothing"})),
		refused(50310, 400, "author_too_long", message(params{"Body": "b", "Author": long(257)})),
		missing(50500, func(s *stage) error {
			return s.call("UpdateConversationMessage", []string{s.open, nothing("IM")}, params{"Body": "b"})
		}),
		refused(50503, 400, "body_missing", message(params{})),
		refused(50504, 400, "body_too_long", message(params{"Body": long(32<<10 + 1)})),
		refused(50506, 400, "media_missing", message(params{"MediaSid": ""})),
		refused(50507, 404, "media_not_found", message(params{"MediaSid": nothing("ME")})),
		refused(50508, 409, "media_attached", func(s *stage) error {
			upload := s.must("POST", "/v1/Services/"+s.home()+"/Media", form("a", "b"), "Content-Type", "image/png")
			s.do("CreateConversationMessage", []string{s.open}, params{"MediaSid": upload.str("sid")})
			return s.call("CreateConversationMessage", []string{s.with()}, params{"MediaSid": upload.str("sid")})
		}),
		refused(50510, 400, "media_invalid", message(params{"MediaSid": "ME1"})),
		refused(50511, 400, "invalid_parameter", func(s *stage) error { return s.upload("", "bytes") }),
		refused(50512, 413, "media_too_large", func(s *stage) error {
			at := s.by(s.beside(engine.Options{}, func(c *rest.Config) { c.Files, c.MaxMedia = s.files(), 2 }).judge(s.t))
			return at.upload("text/plain", "bytes")
		}),
		refused(50526, 400, "invalid_parameter", message(params{"ContentSid": "HX1"})),
		refused(50527, 400, "content_variables_invalid", content("[]")),
		refused(50528, 400, "content_missing", message(params{"Body": "b", "ContentVariables": "{}"})),
		refused(50529, 400, "too_many_content_variables", content("{"+strings.Join(many, ",")+"}")),
		refused(50530, 404, "", func(s *stage) error {
			sid := str(s.do("CreateConversationMessage", []string{s.open}, params{"Body": "b"}), "sid")
			return s.raw("GET", "/v1/Conversations/"+s.open+"/Messages/"+sid+"/ChannelMetadata", nil)
		}),
		refused(50540, 400, "content_variable_too_long", content(`{"`+long(17)+`":""}`)),
		refused(50541, 400, "content_variables_too_long", content("{"+strings.Repeat(" ", 27_800)+"}")),
	}
}

// absentLines are the codes that nobody gets from this surface.
func absentLines() (lines []line) {
	for _, l := range [][]line{
		absent("a warning only: unknown parameters are ignored", 20001),
		absent("larger pages are clamped", 20007),
		absent("too many actions are 50063", 20429, 50074),
		absent("a fault of the server's; nothing a client sends provokes it", 20500),
		absent("the account comes from the credentials", 50001, 50006),
		absent("removing takes no time", 50002),
		absent("it is a segment of the path; without it the path is another one", 50051, 50202, 50351, 50363, 50431, 50501, 50502),
		absent("comes with outgoing webhooks", 50056),
		absent("of outgoing webhooks, for the log only", 50057, 50076, 50392),
		absent("a service has no unique name", 50068, 50069),
		absent("every service has a creator role", 50106),
		absent("50101 says the same", 50109),
		absent("bindings are not made over REST; a filter that fits nothing finds nothing", 50209),
		absent("commands about one thing are decided one after the other, so that the second sees the first", 50213, 50391, 50419, 50449, 50514),
		absent("50341 says the same", 50342),
		absent("an update without parameters changes nothing", 50347),
		absent("timers need no state", 50382),
		absent("there are no regions", 50385),
		absent("conversations are made in one step, so that none is seen unfinished", 50386, 50427),
		absent("a conversation has no type", 50393),
		absent("50422 says the same", 50418),
		absent("a message's media has no parameter in its update", 50509),
		absent("an index is no part of a path, and a horizon that is none is 50421", 50516),
		absent("templates are not resolved here", 50542),
		absent("no channel has metadata yet", 50531, 50532, 50533, 50534),
		absent("Chat only", 50600, 50601, 50602),
		absent("an event, no answer", 50610, 80102),
		absent("of another product", 50700, 50701, 50702, 50703, 50704, 50705, 50706, 50707, 50708, 50709, 50710, 50711),
	} {
		lines = append(lines, l...)
	}
	return lines
}
