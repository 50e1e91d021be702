package chatimport

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain/role"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/events"
)

func TestRolesInTheWordsOfConversations(t *testing.T) {
	for name, row := range map[string]struct {
		chat    chatRole
		want    role.Create
		dropped []string
	}{
		"a service role": {
			chatRole{FriendlyName: "service admin", Type: "deployment", Permissions: []string{"createChannel", "joinChannel", "destroyChannel",
				"inviteMember", "addMember", "removeMember", "editChannelName", "editChannelAttributes", "editAnyMemberAttributes", "editAnyUserInfo"}},
			role.Create{FriendlyName: "service admin", Type: events.RoleService, Permissions: []string{"createConversation", "joinConversation", "deleteConversation",
				"addParticipant", "removeParticipant", "editConversationName", "editConversationAttributes", "editAnyParticipantAttributes", "editAnyUserInfo"}},
			[]string{"inviteMember"},
		},
		"a channel role": {
			chatRole{Type: "channel", Permissions: []string{"leaveChannel", "sendMessage", "sendMediaMessage", "editOwnMemberAttributes", "editNotificationLevel", "fly"}},
			role.Create{Type: events.RoleConversation, Permissions: []string{"leaveConversation", "sendMessage", "sendMediaMessage", "editOwnParticipantAttributes", "editNotificationLevel"}},
			[]string{"fly"},
		},
		"what only the other type may":  {chatRole{Type: "channel", Permissions: []string{"createChannel"}}, role.Create{Type: events.RoleConversation, Permissions: []string{}}, []string{"createChannel"}},
		"the same under both its names": {chatRole{Type: "channel", Permissions: []string{"addMember", "addParticipant"}}, role.Create{Type: events.RoleConversation, Permissions: []string{"addParticipant"}}, nil},
		"a type that is not there":      {chatRole{Type: "guest", Permissions: []string{"sendMessage"}}, role.Create{Permissions: []string{}}, []string{"sendMessage"}},
	} {
		got, dropped := row.chat.create()
		require.Equal(t, row.want, got, name)
		require.Equal(t, row.dropped, dropped, name)
	}
}

func TestWebhooksInTheWordsOfConversations(t *testing.T) {
	s := chatService{PostWebhookURL: "https://example.com", WebhookMethod: "POST", WebhookFilters: []string{
		"onMessageSend", "onMessageSent", "onMediaMessageSent", "onMessageUpdate", "onMessageRemoved", "onChannelAdd", "onChannelAdded",
		"onChannelDestroy", "onChannelDestroyed", "onChannelUpdate", "onMemberAdd", "onMemberRemoved", "onUserUpdated", "onChannelShut",
	}}
	c, dropped, some := s.webhooks()
	require.True(t, some)
	require.Equal(t, []string{"onChannelShut"}, dropped)
	require.Equal(t, []string{
		"onMessageAdd", "onMessageAdded", "onMessageUpdate", "onMessageRemoved", "onConversationAdd", "onConversationAdded",
		"onConversationRemove", "onConversationRemoved", "onConversationUpdate", "onParticipantAdd", "onParticipantRemoved", "onUserUpdated",
	}, c.Filters)
	require.Nil(t, c.PreWebhookURL)
	_, _, some = chatService{WebhookMethod: "POST"}.webhooks()
	require.False(t, some, "a method alone is no configuration")
}

func TestPushInTheWordsOfConversations(t *testing.T) {
	var s chatService
	require.NoError(t, json.Unmarshal([]byte(`{"notifications":{"log_enabled":true,
		"new_message":{"enabled":true,"template":"${CHANNEL_FRIENDLY_NAME};${USER}: ${MESSAGE}","sound":"ping","badge_count_enabled":true},
		"added_to_channel":{"enabled":false,"template":"${MEMBER} is in ${CHANNEL}"},"removed_from_channel":{},
		"invited_to_channel":{"enabled":true}}}`), &s))
	c, some := s.notifications()
	require.True(t, some)
	yes := true
	require.Equal(t, service.ConfigureNotifications{
		LogEnabled: &yes, BadgeCountEnabled: &yes,
		NewMessage:          service.NotificationPatch{Enabled: &yes, Template: present("${CONVERSATION_FRIENDLY_NAME};${PARTICIPANT}: ${MESSAGE}"), Sound: present("ping")},
		AddedToConversation: service.NotificationPatch{Template: present("${PARTICIPANT} is in ${CONVERSATION}")},
	}, c)
	require.Equal(t, []string{"notifications.invited_to_channel"}, s.notTaken())
	_, some = chatService{Notifications: chatNotifications{InvitedToChannel: chatNotification{Enabled: true}}}.notifications()
	require.False(t, some)
}

func TestAttributesThatAreNoJSON(t *testing.T) {
	for given, want := range map[string]string{
		"":              "",
		` { "a" : 1 } `: ` { "a" : 1 } `,
		`null`:          `null`,
		`plain "text"`:  `"plain \"text\""`,
		`{`:             `"{"`,
	} {
		require.Equal(t, want, asJSON(given))
	}
}
