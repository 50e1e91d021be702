package projections

import (
	"time"

	"github.com/parley-engine/parley/events"
)

var accountTable = &tableSpec[string, Account]{
	name: "account",
	columns: []column[Account]{
		rowID(func(a *Account) *int64 { return &a.id }),
		text("sid", func(a *Account) *string { return &a.Sid }).fixed(),
		optional("parent_sid", func(a *Account) *string { return &a.ParentSid }).fixed(),
		optional("friendly_name", func(a *Account) *string { return &a.FriendlyName }),
		optional("default_chat_service_sid", func(a *Account) *string { return &a.DefaultChatServiceSid }),
		optional("default_messaging_service_sid", func(a *Account) *string { return &a.DefaultMessagingServiceSid }),
		optional("default_inactive_timer", func(a *Account) *string { return &a.DefaultInactiveTimer }),
		optional("default_closed_timer", func(a *Account) *string { return &a.DefaultClosedTimer }),
		document("webhooks", func(a *Account) *events.WebhookConfiguration { return &a.Webhooks }, noFields),
		instant("date_created", func(a *Account) *time.Time { return &a.DateCreated }).fixed(),
		instant("date_updated", func(a *Account) *time.Time { return &a.DateUpdated }),
		integer("last_revision", func(a *Account) *uint64 { return &a.LastRevision }),
		positionCommit(func(a *Account) *events.Position { return &a.Position }),
		positionPrepare(func(a *Account) *events.Position { return &a.Position }),
	},
	key: []string{"sid"}, bindKey: bindSid,
	keyOf: func(r *Account) string { return r.Sid },
	id:    func(a *Account) *int64 { return &a.id },
}

var messagingServiceTable = &tableSpec[string, MessagingService]{
	name: "messaging_service",
	columns: []column[MessagingService]{
		rowID(func(m *MessagingService) *int64 { return &m.id }),
		text("sid", func(m *MessagingService) *string { return &m.Sid }).fixed(),
		text("account_sid", func(m *MessagingService) *string { return &m.AccountSid }).fixed(),
		optional("friendly_name", func(m *MessagingService) *string { return &m.FriendlyName }),
		document("senders", func(m *MessagingService) *[]string { return &m.Senders }, noElements),
		instant("date_created", func(m *MessagingService) *time.Time { return &m.DateCreated }).fixed(),
		instant("date_updated", func(m *MessagingService) *time.Time { return &m.DateUpdated }),
	},
	key: []string{"sid"}, bindKey: bindSid,
	keyOf:   func(r *MessagingService) string { return r.Sid },
	id:      func(m *MessagingService) *int64 { return &m.id },
	indexes: []string{"(account_sid, id)"},
}

var serviceTable = &tableSpec[string, Service]{
	name: "service",
	columns: []column[Service]{
		rowID(func(s *Service) *int64 { return &s.id }),
		text("sid", func(s *Service) *string { return &s.Sid }).fixed(),
		text("account_sid", func(s *Service) *string { return &s.AccountSid }).fixed(),
		text("friendly_name", func(s *Service) *string { return &s.FriendlyName }),
		optional("default_conversation_creator_role_sid", func(s *Service) *string { return &s.DefaultConversationCreatorRoleSid }),
		optional("default_conversation_role_sid", func(s *Service) *string { return &s.DefaultConversationRoleSid }),
		optional("default_chat_service_role_sid", func(s *Service) *string { return &s.DefaultChatServiceRoleSid }),
		flag("reachability_enabled", func(s *Service) *bool { return &s.ReachabilityEnabled }),
		document("webhooks", func(s *Service) *events.WebhookConfiguration { return &s.Webhooks }, noFields),
		document("notifications", func(s *Service) *events.Notifications { return &s.Notifications }, noFields),
		instant("date_created", func(s *Service) *time.Time { return &s.DateCreated }).fixed(),
		instant("date_updated", func(s *Service) *time.Time { return &s.DateUpdated }),
		instant("date_removed", func(s *Service) *time.Time { return &s.DateRemoved }).indexed(),
		integer("last_revision", func(s *Service) *uint64 { return &s.LastRevision }),
		positionCommit(func(s *Service) *events.Position { return &s.Position }),
		positionPrepare(func(s *Service) *events.Position { return &s.Position }),
	},
	key: []string{"sid"}, bindKey: bindSid,
	keyOf: func(r *Service) string { return r.Sid },
	id:    func(s *Service) *int64 { return &s.id },
	indexes: []string{
		"(account_sid, id) WHERE date_removed IS NULL",
		"(id) WHERE date_removed IS NOT NULL",
	},
}

var userTable = &tableSpec[string, User]{
	name: "user",
	columns: []column[User]{
		rowID(func(u *User) *int64 { return &u.id }),
		text("sid", func(u *User) *string { return &u.Sid }).fixed(),
		text("account_sid", func(u *User) *string { return &u.AccountSid }).fixed(),
		text("chat_service_sid", func(u *User) *string { return &u.ChatServiceSid }).fixed(),
		text("identity", func(u *User) *string { return &u.Identity }).fixed(),
		optional("friendly_name", func(u *User) *string { return &u.FriendlyName }),
		text("attributes", func(u *User) *string { return &u.Attributes }),
		optional("role_sid", func(u *User) *string { return &u.RoleSid }),
		instant("date_created", func(u *User) *time.Time { return &u.DateCreated }).fixed(),
		instant("date_updated", func(u *User) *time.Time { return &u.DateUpdated }),
		integer("last_revision", func(u *User) *uint64 { return &u.LastRevision }),
		positionCommit(func(u *User) *events.Position { return &u.Position }),
		positionPrepare(func(u *User) *events.Position { return &u.Position }),
	},
	key: []string{"sid"}, bindKey: bindSid,
	keyOf:   func(r *User) string { return r.Sid },
	id:      func(u *User) *int64 { return &u.id },
	indexes: []string{"(chat_service_sid, identity)", "(chat_service_sid, id)"},
}

var roleTable = &tableSpec[string, Role]{
	name: "role",
	columns: []column[Role]{
		rowID(func(r *Role) *int64 { return &r.id }),
		text("sid", func(r *Role) *string { return &r.Sid }).fixed(),
		text("account_sid", func(r *Role) *string { return &r.AccountSid }).fixed(),
		text("chat_service_sid", func(r *Role) *string { return &r.ChatServiceSid }).fixed(),
		text("friendly_name", func(r *Role) *string { return &r.FriendlyName }),
		text("type", func(r *Role) *string { return &r.Type }).fixed(),
		document("permissions", func(r *Role) *[]string { return &r.Permissions }, noElements),
		instant("date_created", func(r *Role) *time.Time { return &r.DateCreated }).fixed(),
		instant("date_updated", func(r *Role) *time.Time { return &r.DateUpdated }),
		integer("last_revision", func(r *Role) *uint64 { return &r.LastRevision }),
		positionCommit(func(r *Role) *events.Position { return &r.Position }),
		positionPrepare(func(r *Role) *events.Position { return &r.Position }),
	},
	key: []string{"sid"}, bindKey: bindSid,
	keyOf:   func(r *Role) string { return r.Sid },
	id:      func(r *Role) *int64 { return &r.id },
	indexes: []string{"(chat_service_sid, id)"},
}
