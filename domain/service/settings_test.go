package service_test

import (
	"strings"
	"testing"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/events"
)

func TestConfigureWebhooks(t *testing.T) {
	post := "https://x.example/post"
	set := []events.Event{events.ServiceWebhooksConfigured{Webhooks: events.WebhookConfiguration{Method: "POST", PostWebhookURL: post}, At: at}}
	run(t, []row{
		{name: "a URL and a method", given: created, when: service.ConfigureWebhooks{At: at, Method: new("post"), PostWebhookURL: &post}, then: set},
		{name: "nothing new is nothing to do", given: append(created[:2:2], set...), when: service.ConfigureWebhooks{At: at, PostWebhookURL: &post}},
		{name: "a method that is none", given: created, when: service.ConfigureWebhooks{Method: new("x")}, no: no{domain.InvalidArgument, "method_invalid", "method", 50055}},
		{name: "of a service that was removed", given: removed, when: service.ConfigureWebhooks{}, no: no{domain.NotFound, "service_not_found", "", 50050}},
	})
}

func TestConfigureNotifications(t *testing.T) {
	full := events.Notifications{
		LogEnabled: true, NewMessage: events.Notification{Enabled: true, Template: "${MESSAGE}", Sound: "ping"}, BadgeCountEnabled: true,
		WithMedia: events.MediaNotification{Enabled: true, Template: "${MEDIA}"}, AddedToConversation: events.Notification{Template: "added"},
		RemovedFromConversation: events.Notification{Sound: "gone"},
	}
	given := append(created[:2:2], events.ServiceNotificationsConfigured{Notifications: full, At: at})
	quiet := full
	quiet.NewMessage.Enabled = false
	long := new(strings.Repeat("x", 513))
	refused := func(name string, c service.ConfigureNotifications, code, field string, twilio int) row {
		return row{name: name, given: created, when: c, no: no{domain.InvalidArgument, code, field, twilio}}
	}
	run(t, []row{
		{name: "everything at once", given: created, when: service.ConfigureNotifications{
			At: at, LogEnabled: new(true), NewMessage: service.NotificationPatch{Enabled: new(true), Template: new("${MESSAGE}"), Sound: new("ping")}, BadgeCountEnabled: new(true),
			WithMedia:           service.MediaNotificationPatch{Enabled: new(true), Template: new("${MEDIA}")},
			AddedToConversation: service.NotificationPatch{Template: new("added")}, RemovedFromConversation: service.NotificationPatch{Sound: new("gone")},
		}, then: given[2:]},
		{name: "one thing, the rest stays", given: given, when: service.ConfigureNotifications{At: at, NewMessage: service.NotificationPatch{Enabled: new(false)}},
			then: []events.Event{events.ServiceNotificationsConfigured{Notifications: quiet, At: at}}},
		{name: "nothing new is nothing to do", given: given, when: service.ConfigureNotifications{At: at}},
		refused("a template that is too long", service.ConfigureNotifications{NewMessage: service.NotificationPatch{Template: long}}, "new_message.template_too_long", "new_message.template", 50058),
		refused("one for media", service.ConfigureNotifications{WithMedia: service.MediaNotificationPatch{Template: long}}, "with_media.template_too_long", "with_media.template", 50058),
		refused("a sound that is too long", service.ConfigureNotifications{AddedToConversation: service.NotificationPatch{Sound: long}}, "added_to_conversation.sound_too_long", "added_to_conversation.sound", 50059),
	})
}

func TestTheDefaultServiceStays(t *testing.T) {
	run(t, []row{{name: "removed by nobody", given: created, when: service.Remove{At: at, Default: true}, no: no{domain.FailedPrecondition, "service_is_default", "", 20409}}})
}
