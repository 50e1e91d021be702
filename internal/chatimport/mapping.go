package chatimport

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/role"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/domain/user"
	"github.com/parley-engine/parley/events"
)

// Sizes that Conversations has and Chat did not keep to, in bytes.
const (
	conversationAttributes = 16 << 10
	partAttributes         = 4 << 10
)

// renamed are Chat's permissions that Conversations has under another name.
var renamed = map[string]string{
	"createChannel": "createConversation", "joinChannel": "joinConversation", "destroyChannel": "deleteConversation",
	"leaveChannel": "leaveConversation", "editChannelName": "editConversationName",
	"editChannelAttributes": "editConversationAttributes", "addMember": "addParticipant", "removeMember": "removeParticipant",
	"editOwnMemberAttributes": "editOwnParticipantAttributes", "editAnyMemberAttributes": "editAnyParticipantAttributes",
}

// roleTypes are Chat's types of roles in the words of Conversations.
var roleTypes = map[string]string{"deployment": events.RoleService, "channel": events.RoleConversation}

// create tells apart what of a role there is and what there is not.
func (r chatRole) create() (c role.Create, dropped []string) {
	c = role.Create{FriendlyName: r.FriendlyName, Type: roleTypes[r.Type], Permissions: []string{}}
	for _, name := range r.Permissions {
		to := name
		if other, ok := renamed[name]; ok {
			to = other
		}
		switch {
		case !role.Has(c.Type, to):
			dropped = append(dropped, name)
		case !slices.Contains(c.Permissions, to):
			c.Permissions = append(c.Permissions, to)
		}
	}
	return c, dropped
}

func (s chatService) create() service.Create {
	name := s.FriendlyName
	if name == "" {
		name = s.Sid
	}
	return service.Create{FriendlyName: name}
}

func (s chatService) configure() service.Configure {
	return service.Configure{
		CreatorRole: present(s.CreatorRole), ConversationRole: present(s.ChannelRole), ServiceRole: present(s.ServiceRole),
		ReachabilityEnabled: &s.ReachabilityEnabled,
	}
}

func present(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// webhookNames are Chat's names of what webhooks tell.
var webhookNames = strings.NewReplacer(
	"ChannelDestroyed", "ConversationRemoved", "ChannelDestroy", "ConversationRemove", "Channel", "Conversation", "Member", "Participant",
	"MediaMessageSend", "MessageAdd", "MediaMessageSent", "MessageAdded", "MessageSend", "MessageAdd", "MessageSent", "MessageAdded",
)

// webhooks is the configuration as far as there are such events; ok is false where
// there is nothing to configure.
func (s chatService) webhooks() (c service.ConfigureWebhooks, dropped []string, ok bool) {
	c = service.ConfigureWebhooks{
		Method: present(s.WebhookMethod), PreWebhookURL: present(s.PreWebhookURL), PostWebhookURL: present(s.PostWebhookURL),
	}
	for _, name := range s.WebhookFilters {
		to := webhookNames.Replace(name)
		switch {
		case domain.CheckWebhookEvents([]string{to}, "") != nil:
			dropped = append(dropped, name)
		case !slices.Contains(c.Filters, to):
			c.Filters = append(c.Filters, to)
		}
	}
	return c, dropped, c.PreWebhookURL != nil || c.PostWebhookURL != nil || c.Filters != nil
}

// variables are those of Chat's push templates.
var variables = strings.NewReplacer("${CHANNEL", "${CONVERSATION", "${USER", "${PARTICIPANT", "${MEMBER", "${PARTICIPANT")

func (n chatNotification) patch() service.NotificationPatch {
	p := service.NotificationPatch{Template: present(variables.Replace(n.Template)), Sound: present(n.Sound)}
	if n.Enabled {
		p.Enabled = &n.Enabled
	}
	return p
}

func (s chatService) notifications() (c service.ConfigureNotifications, ok bool) {
	n := s.Notifications
	c = service.ConfigureNotifications{
		NewMessage: n.NewMessage.patch(), AddedToConversation: n.AddedToChannel.patch(),
		RemovedFromConversation: n.RemovedFromChannel.patch(),
	}
	if n.LogEnabled {
		c.LogEnabled = &n.LogEnabled
	}
	if n.NewMessage.BadgeCount {
		c.BadgeCountEnabled = &n.NewMessage.BadgeCount
	}
	return c, n != chatNotifications{InvitedToChannel: n.InvitedToChannel}
}

// notTaken names the settings of a service that have no place here.
func (s chatService) notTaken() []string {
	var names []string
	for _, setting := range []struct {
		name string
		set  bool
	}{
		{"read_status_enabled", s.ReadStatusEnabled != nil && !*s.ReadStatusEnabled},
		{"typing_indicator_timeout", s.TypingIndicator != 0},
		{"consumption_report_interval", s.ConsumptionInterval != 0},
		{"limits", len(s.Limits) > 0},
		{"media", len(s.Media) > 0},
		{"pre_webhook_retry_count", s.PreRetries != 0},
		{"post_webhook_retry_count", s.PostRetries != 0},
		{"notifications.invited_to_channel", s.Notifications.InvitedToChannel != chatNotification{}},
	} {
		if setting.set {
			names = append(names, setting.name)
		}
	}
	return names
}

func (u chatUser) create() user.Create {
	return user.Create{Identity: u.Identity, FriendlyName: u.FriendlyName, Attributes: asJSON(u.Attributes), Role: u.Role}
}

func (c chatChannel) create() conversation.Create {
	return conversation.Create{
		FriendlyName: c.FriendlyName, UniqueName: c.UniqueName, Attributes: asJSON(c.Attributes), CreatedBy: c.CreatedBy,
		DateCreated: c.DateCreated.UTC(), DateUpdated: c.DateUpdated.UTC(),
	}
}

func (m chatMember) add() conversation.AddParticipant {
	return conversation.AddParticipant{
		Sid: m.Sid, Identity: m.Identity, Role: m.Role, Attributes: asJSON(m.Attributes),
		DateCreated: m.DateCreated.UTC(), DateUpdated: m.DateUpdated.UTC(),
	}
}

func (m chatMember) read() conversation.MoveReadHorizon {
	return conversation.MoveReadHorizon{Participant: m.Sid, Index: m.ReadIndex, Advance: true, ReadAt: m.ReadAt.UTC()}
}

func (m chatMessage) add() conversation.AddMessage {
	c := conversation.AddMessage{
		Sid: m.Sid, Author: m.From, Body: m.Body, Attributes: asJSON(m.Attributes), Index: m.Index,
		DateCreated: m.DateCreated.UTC(), DateUpdated: m.DateUpdated.UTC(),
	}
	if m.Media != nil {
		c.Media = []events.Media{{Media: m.Media.Sid, ContentType: m.Media.ContentType, Filename: m.Media.Filename, Size: m.Media.Size}}
	}
	return c
}

// asJSON keeps attributes that are JSON byte for byte. Others become a JSON text of
// the same characters.
func asJSON(attributes string) string {
	if attributes == "" || json.Valid([]byte(attributes)) {
		return attributes
	}
	text, _ := json.Marshal(attributes) // of a string: never fails
	return string(text)
}

// fields are those of a command, as a struct of its own.
type fields = interface{ CommandType() string }

// sameButDate puts an earlier date of change into fields: Chat moves the dates of
// channels and members for reasons that are no change of them.
func sameButDate(f fields, updated time.Time) fields {
	switch c := f.(type) {
	case conversation.Create:
		c.DateUpdated = updated
		return c
	case conversation.AddParticipant:
		c.DateUpdated = updated
		return c
	}
	return f
}
