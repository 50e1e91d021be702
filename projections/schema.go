package projections

import (
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/parley-engine/parley/events"
)

// child is the key of what belongs to something: the parent's row id and the
// child's SID.
type child struct {
	parent int64
	sid    string
}

func bindSid(s *sqlite.Stmt, sid string) { s.BindText(1, sid) }

func bindChild(s *sqlite.Stmt, k child) {
	s.BindInt64(1, k.parent)
	s.BindText(2, k.sid)
}

var conversationTable = &tableSpec[string, Conversation]{
	name: "conversation",
	columns: []column[Conversation]{
		rowID(func(c *Conversation) *int64 { return &c.id }),
		text("sid", func(c *Conversation) *string { return &c.Sid }).fixed(),
		text("account_sid", func(c *Conversation) *string { return &c.AccountSid }).fixed(),
		text("chat_service_sid", func(c *Conversation) *string { return &c.ChatServiceSid }).fixed(),
		optional("messaging_service_sid", func(c *Conversation) *string { return &c.MessagingServiceSid }).indexed(),
		optional("friendly_name", func(c *Conversation) *string { return &c.FriendlyName }).indexed(),
		optional("unique_name", func(c *Conversation) *string { return &c.UniqueName }).indexed(),
		text("attributes", func(c *Conversation) *string { return &c.Attributes }).indexed(),
		text("state", func(c *Conversation) *string { return &c.State }).indexed(),
		optional("inactive_timer", func(c *Conversation) *string { return &c.InactiveTimer }).indexed(),
		optional("closed_timer", func(c *Conversation) *string { return &c.ClosedTimer }).indexed(),
		duration("inactive_after", func(c *Conversation) *time.Duration { return &c.InactiveAfter }).indexed(),
		duration("closed_after", func(c *Conversation) *time.Duration { return &c.ClosedAfter }).indexed(),
		instant("timer_since", func(c *Conversation) *time.Time { return &c.TimerSince }),
		instant("last_activity_at", func(c *Conversation) *time.Time { return &c.LastActivityAt }),
		instant("entered_inactive_at", func(c *Conversation) *time.Time { return &c.EnteredInactiveAt }).indexed(),
		optional("email_address", func(c *Conversation) *string { return &c.EmailAddress }).indexed(),
		optional("email_name", func(c *Conversation) *string { return &c.EmailName }).indexed(),
		text("created_by", func(c *Conversation) *string { return &c.CreatedBy }).fixed(),
		optional("predecessor_sid", func(c *Conversation) *string { return &c.Predecessor }).fixed(),
		optional("successor_sid", func(c *Conversation) *string { return &c.Successor }),
		integer("last_message_index", func(c *Conversation) *int64 { return &c.LastMessageIndex }),
		instant("date_created", func(c *Conversation) *time.Time { return &c.DateCreated }).indexed(),
		instant("date_updated", func(c *Conversation) *time.Time { return &c.DateUpdated }),
		integer("last_revision", func(c *Conversation) *uint64 { return &c.LastRevision }),
		positionCommit(func(c *Conversation) *events.Position { return &c.Position }),
		positionPrepare(func(c *Conversation) *events.Position { return &c.Position }),
	},
	key: []string{"sid"}, bindKey: bindSid,
	keyOf: func(r *Conversation) string { return r.Sid },
	id:    func(c *Conversation) *int64 { return &c.id },
	indexes: []string{
		"(chat_service_sid, unique_name) WHERE unique_name IS NOT NULL",
		"(chat_service_sid, date_created)", // and the row id, as in every index: named, it could not be entered by
		"(chat_service_sid, state, date_created)",
	},
}

var participantTable = &tableSpec[child, Participant]{
	name: "participant",
	columns: []column[Participant]{
		rowID(func(p *Participant) *int64 { return &p.id }),
		integer("conversation", func(p *Participant) *int64 { return &p.conversation }).fixed(),
		text("sid", func(p *Participant) *string { return &p.Sid }).fixed(),
		text("account_sid", func(p *Participant) *string { return &p.AccountSid }).fixed(),
		text("chat_service_sid", func(p *Participant) *string { return &p.ChatServiceSid }).fixed(),
		text("conversation_sid", func(p *Participant) *string { return &p.ConversationSid }).fixed(),
		optional("identity", func(p *Participant) *string { return &p.Identity }).indexed(),
		optional("user_sid", func(p *Participant) *string { return &p.UserSid }).indexed(),
		optional("role_sid", func(p *Participant) *string { return &p.RoleSid }),
		text("attributes", func(p *Participant) *string { return &p.Attributes }),
		optional("binding_type", func(p *Participant) *string { return &p.MessagingBinding.Type }).indexed(),
		optional("address", func(p *Participant) *string { return &p.MessagingBinding.Address }).indexed(),
		optional("proxy_address", func(p *Participant) *string { return &p.MessagingBinding.ProxyAddress }).indexed(),
		optional("projected_address", func(p *Participant) *string { return &p.MessagingBinding.ProjectedAddress }).indexed(),
		optional("binding_level", func(p *Participant) *string { return &p.MessagingBinding.Level }).indexed(),
		optional("binding_name", func(p *Participant) *string { return &p.MessagingBinding.Name }).indexed(),
		optionalInteger("last_read_message_index", func(p *Participant) **int64 { return &p.LastReadMessageIndex }),
		instant("last_read_timestamp", func(p *Participant) *time.Time { return &p.LastReadTimestamp }),
		text("notification_level", func(p *Participant) *string { return &p.NotificationLevel }),
		instant("date_created", func(p *Participant) *time.Time { return &p.DateCreated }),
		instant("date_updated", func(p *Participant) *time.Time { return &p.DateUpdated }),
	},
	key: []string{"conversation", "sid"}, bindKey: bindChild,
	keyOf: func(r *Participant) child { return child{r.conversation, r.Sid} },
	id:    func(p *Participant) *int64 { return &p.id },
	indexes: []string{
		"(identity, chat_service_sid, conversation_sid) WHERE identity IS NOT NULL",
		"(address, chat_service_sid, conversation_sid) WHERE address IS NOT NULL",
		"(conversation, id)",
	},
}

var messageTable = &tableSpec[child, Message]{
	name: "message",
	columns: []column[Message]{
		rowID(func(m *Message) *int64 { return &m.id }),
		integer("conversation", func(m *Message) *int64 { return &m.conversation }).fixed(),
		text("sid", func(m *Message) *string { return &m.Sid }).fixed(),
		integer("message_index", func(m *Message) *int64 { return &m.Index }).fixed(),
		text("author", func(m *Message) *string { return &m.Author }),
		optional("participant_sid", func(m *Message) *string { return &m.ParticipantSid }),
		optional("body", func(m *Message) *string { return &m.Body }),
		document("media", func(m *Message) *[]events.Media { return &m.Media }, noElements),
		text("attributes", func(m *Message) *string { return &m.Attributes }),
		optional("subject", func(m *Message) *string { return &m.Subject }),
		optional("content_sid", func(m *Message) *string { return &m.ContentSid }),
		optional("content_variables", func(m *Message) *string { return &m.ContentVariables }),
		integer("recipients", func(m *Message) *int64 { return &m.recipients }).fixed(),
		instant("date_created", func(m *Message) *time.Time { return &m.DateCreated }),
		instant("date_updated", func(m *Message) *time.Time { return &m.DateUpdated }),
	},
	key: []string{"conversation", "sid"}, bindKey: bindChild,
	keyOf:   func(r *Message) child { return child{r.conversation, r.Sid} },
	id:      func(m *Message) *int64 { return &m.id },
	indexes: []string{"UNIQUE (conversation, message_index)"},
}

var receiptTable = &tableSpec[child, Receipt]{
	name: "receipt",
	columns: []column[Receipt]{
		rowID(func(r *Receipt) *int64 { return &r.id }),
		integer("message", func(r *Receipt) *int64 { return &r.message }).fixed(),
		text("sid", func(r *Receipt) *string { return &r.Sid }).fixed(),
		text("participant_sid", func(r *Receipt) *string { return &r.ParticipantSid }).fixed(),
		optional("channel_message_sid", func(r *Receipt) *string { return &r.ChannelMessageSid }),
		text("status", func(r *Receipt) *string { return &r.Status }),
		integer("error_code", func(r *Receipt) *int64 { return &r.ErrorCode }),
		instant("date_created", func(r *Receipt) *time.Time { return &r.DateCreated }).fixed(),
		instant("date_updated", func(r *Receipt) *time.Time { return &r.DateUpdated }),
	},
	key: []string{"message", "sid"}, bindKey: bindChild,
	keyOf: func(r *Receipt) child { return child{r.message, r.Sid} },
	id:    func(r *Receipt) *int64 { return &r.id },
}

var webhookTable = &tableSpec[child, Webhook]{
	name: "webhook",
	columns: []column[Webhook]{
		rowID(func(w *Webhook) *int64 { return &w.id }),
		integer("conversation", func(w *Webhook) *int64 { return &w.conversation }).fixed(),
		text("sid", func(w *Webhook) *string { return &w.Sid }).fixed(),
		text("target", func(w *Webhook) *string { return &w.Target }),
		document("configuration", func(w *Webhook) *events.Webhook { return &w.Configuration },
			func(events.Webhook) bool { return false }),
		instant("date_created", func(w *Webhook) *time.Time { return &w.DateCreated }).fixed(),
		instant("date_updated", func(w *Webhook) *time.Time { return &w.DateUpdated }),
	},
	key: []string{"conversation", "sid"}, bindKey: bindChild,
	keyOf: func(r *Webhook) child { return child{r.conversation, r.Sid} },
	id:    func(w *Webhook) *int64 { return &w.id },
}
