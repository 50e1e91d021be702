package projections

import (
	"time"

	"github.com/parley-engine/parley/events"
)

var apiKeyTable = &tableSpec[string, APIKey]{
	name: "api_key",
	columns: []column[APIKey]{
		rowID(func(k *APIKey) *int64 { return &k.id }),
		text("sid", func(k *APIKey) *string { return &k.Sid }).fixed(),
		text("account_sid", func(k *APIKey) *string { return &k.AccountSid }).fixed(),
		optional("friendly_name", func(k *APIKey) *string { return &k.FriendlyName }),
		instant("date_created", func(k *APIKey) *time.Time { return &k.DateCreated }).fixed(),
		instant("date_updated", func(k *APIKey) *time.Time { return &k.DateUpdated }),
		integer("last_revision", func(k *APIKey) *uint64 { return &k.LastRevision }),
		positionCommit(func(k *APIKey) *events.Position { return &k.Position }),
		positionPrepare(func(k *APIKey) *events.Position { return &k.Position }),
	},
	key: []string{"sid"}, bindKey: bindSid,
	keyOf:   func(r *APIKey) string { return r.Sid },
	id:      func(k *APIKey) *int64 { return &k.id },
	indexes: []string{"(account_sid, id)"},
}

var credentialTable = &tableSpec[string, Credential]{
	name: "credential",
	columns: []column[Credential]{
		rowID(func(c *Credential) *int64 { return &c.id }),
		text("sid", func(c *Credential) *string { return &c.Sid }).fixed(),
		text("account_sid", func(c *Credential) *string { return &c.AccountSid }).fixed(),
		optional("friendly_name", func(c *Credential) *string { return &c.FriendlyName }),
		text("type", func(c *Credential) *string { return &c.Type }),
		flag("sandbox", func(c *Credential) *bool { return &c.Sandbox }),
		instant("date_created", func(c *Credential) *time.Time { return &c.DateCreated }).fixed(),
		instant("date_updated", func(c *Credential) *time.Time { return &c.DateUpdated }),
		integer("last_revision", func(c *Credential) *uint64 { return &c.LastRevision }),
		positionCommit(func(c *Credential) *events.Position { return &c.Position }),
		positionPrepare(func(c *Credential) *events.Position { return &c.Position }),
	},
	key: []string{"sid"}, bindKey: bindSid,
	keyOf:   func(r *Credential) string { return r.Sid },
	id:      func(c *Credential) *int64 { return &c.id },
	indexes: []string{"(account_sid, id)"},
}

var pushBindingTable = &tableSpec[string, PushBinding]{
	name: "push_binding",
	columns: []column[PushBinding]{
		rowID(func(b *PushBinding) *int64 { return &b.id }),
		text("sid", func(b *PushBinding) *string { return &b.Sid }).fixed(),
		text("account_sid", func(b *PushBinding) *string { return &b.AccountSid }).fixed(),
		text("chat_service_sid", func(b *PushBinding) *string { return &b.ChatServiceSid }).fixed(),
		optional("credential_sid", func(b *PushBinding) *string { return &b.CredentialSid }),
		text("endpoint", func(b *PushBinding) *string { return &b.Endpoint }).fixed(),
		text("identity", func(b *PushBinding) *string { return &b.Identity }).fixed(),
		text("binding_type", func(b *PushBinding) *string { return &b.BindingType }).fixed(),
		document("message_types", func(b *PushBinding) *[]string { return &b.MessageTypes }, noElements),
		instant("date_created", func(b *PushBinding) *time.Time { return &b.DateCreated }).fixed(),
		instant("date_updated", func(b *PushBinding) *time.Time { return &b.DateUpdated }),
		integer("last_revision", func(b *PushBinding) *uint64 { return &b.LastRevision }),
		positionCommit(func(b *PushBinding) *events.Position { return &b.Position }),
		positionPrepare(func(b *PushBinding) *events.Position { return &b.Position }),
	},
	key: []string{"sid"}, bindKey: bindSid,
	keyOf:   func(r *PushBinding) string { return r.Sid },
	id:      func(b *PushBinding) *int64 { return &b.id },
	indexes: []string{"(chat_service_sid, id)", "(chat_service_sid, identity, id)"},
}

var addressConfigurationTable = &tableSpec[string, AddressConfiguration]{
	name: "address_configuration",
	columns: []column[AddressConfiguration]{
		rowID(func(a *AddressConfiguration) *int64 { return &a.id }),
		text("sid", func(a *AddressConfiguration) *string { return &a.Sid }).fixed(),
		text("account_sid", func(a *AddressConfiguration) *string { return &a.AccountSid }).fixed(),
		text("type", func(a *AddressConfiguration) *string { return &a.Type }).fixed(),
		text("address", func(a *AddressConfiguration) *string { return &a.Address }).fixed(),
		optional("friendly_name", func(a *AddressConfiguration) *string { return &a.FriendlyName }),
		optional("address_country", func(a *AddressConfiguration) *string { return &a.AddressCountry }).fixed(),
		document("auto_creation", func(a *AddressConfiguration) *events.AutoCreation { return &a.AutoCreation }, noFields),
		instant("date_created", func(a *AddressConfiguration) *time.Time { return &a.DateCreated }).fixed(),
		instant("date_updated", func(a *AddressConfiguration) *time.Time { return &a.DateUpdated }),
		integer("last_revision", func(a *AddressConfiguration) *uint64 { return &a.LastRevision }),
		positionCommit(func(a *AddressConfiguration) *events.Position { return &a.Position }),
		positionPrepare(func(a *AddressConfiguration) *events.Position { return &a.Position }),
	},
	key: []string{"sid"}, bindKey: bindSid,
	keyOf:   func(r *AddressConfiguration) string { return r.Sid },
	id:      func(a *AddressConfiguration) *int64 { return &a.id },
	indexes: []string{"(account_sid, id)", "(account_sid, address)"},
}

var mediaTable = &tableSpec[string, Media]{
	name: "media",
	columns: []column[Media]{
		rowID(func(m *Media) *int64 { return &m.id }),
		text("sid", func(m *Media) *string { return &m.Sid }).fixed(),
		text("account_sid", func(m *Media) *string { return &m.AccountSid }).fixed(),
		text("chat_service_sid", func(m *Media) *string { return &m.ChatServiceSid }).fixed(),
		text("content_type", func(m *Media) *string { return &m.ContentType }).fixed(),
		optional("filename", func(m *Media) *string { return &m.Filename }).fixed(),
		integer("size", func(m *Media) *int64 { return &m.Size }).fixed(),
		text("sha256", func(m *Media) *string { return &m.SHA256 }).fixed(),
		optional("author", func(m *Media) *string { return &m.Author }).fixed(),
		optionalID("message", func(m *Media) *int64 { return &m.message }),
		optional("conversation_sid", func(m *Media) *string { return &m.ConversationSid }),
		optional("message_sid", func(m *Media) *string { return &m.MessageSid }),
		instant("date_created", func(m *Media) *time.Time { return &m.DateCreated }).fixed(),
		instant("date_updated", func(m *Media) *time.Time { return &m.DateUpdated }),
		integer("last_revision", func(m *Media) *uint64 { return &m.LastRevision }),
		positionCommit(func(m *Media) *events.Position { return &m.Position }),
		positionPrepare(func(m *Media) *events.Position { return &m.Position }),
	},
	key: []string{"sid"}, bindKey: bindSid,
	keyOf:   func(r *Media) string { return r.Sid },
	id:      func(m *Media) *int64 { return &m.id },
	indexes: []string{"(chat_service_sid, id)", "(sha256)"},
}
