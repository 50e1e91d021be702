package service_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/events"
)

func ptr[T any](v T) *T { return &v }

func TestConfigureWebhooks(t *testing.T) {
	configure := func(c service.ConfigureWebhooks) service.ConfigureWebhooks {
		c.At = at
		return c
	}
	configured := func(w events.WebhookConfiguration) []events.Event {
		return []events.Event{events.ServiceWebhooksConfigured{Webhooks: w, At: at}}
	}
	hook := events.WebhookConfiguration{Method: "POST", PostWebhookURL: "https://example.org/", Filters: []string{"onMessageAdded"}}
	given := append(created[:2:2], configured(hook)...)
	cleared := hook
	cleared.Filters = []string{}
	invalid := func(code, field string, twilio int) no { return no{domain.InvalidArgument, code, field, twilio} }
	missing := no{domain.NotFound, "service_not_found", "", 50050}
	run(t, []row{
		{name: "nothing given, nothing done", given: given, when: configure(service.ConfigureWebhooks{})},
		{name: "all of it", given: created, when: configure(service.ConfigureWebhooks{Method: ptr("post"), PostWebhookURL: ptr("https://example.org/"), Filters: []string{"onMessageAdded"}}), then: configured(hook)},
		{name: "the same again", given: given, when: configure(service.ConfigureWebhooks{Method: ptr("POST")})},
		{name: "no filters", given: given, when: configure(service.ConfigureWebhooks{Filters: []string{""}}), then: configured(cleared)},
		{name: "a method of no use", given: given, when: configure(service.ConfigureWebhooks{Method: ptr("PUT")}), no: invalid("method_invalid", "method", 50055)},
		{name: "a URL before that is none", given: given, when: configure(service.ConfigureWebhooks{PreWebhookURL: ptr("x")}), no: invalid("url_invalid", "pre_webhook_url", 50054)},
		{name: "a URL after that is long", given: given, when: configure(service.ConfigureWebhooks{PostWebhookURL: ptr("http://x/" + strings.Repeat("x", domain.MaxURL))}), no: invalid("url_too_long", "post_webhook_url", 50372)},
		{name: "a filter of nothing", given: given, when: configure(service.ConfigureWebhooks{Filters: []string{"onX"}}), no: invalid("filter_invalid", "filters", 50365)},
		{name: "a service that is not there", when: configure(service.ConfigureWebhooks{}), no: missing},
		{name: "a service that was removed", given: removed, when: configure(service.ConfigureWebhooks{}), no: missing},
	})
	require.Equal(t, hook, fold(given).Webhooks)
}

func TestConfigureNotifications(t *testing.T) {
	configure := func(c service.ConfigureNotifications) service.ConfigureNotifications {
		c.At = at
		return c
	}
	configured := func(n events.Notifications) []events.Event {
		return []events.Event{events.ServiceNotificationsConfigured{Notifications: n, At: at}}
	}
	all := events.Notifications{
		LogEnabled: true, BadgeCountEnabled: true,
		NewMessage:              events.Notification{Enabled: true, Template: "new", Sound: "ping"},
		WithMedia:               events.MediaNotification{Enabled: true, Template: "media"},
		AddedToConversation:     events.Notification{Enabled: true, Template: "added", Sound: "pling"},
		RemovedFromConversation: events.Notification{Enabled: true, Template: "removed", Sound: "plong"},
	}
	given := append(created[:2:2], configured(all)...)
	changed := all
	changed.LogEnabled, changed.WithMedia.Template, changed.RemovedFromConversation.Sound = false, "", "x"
	text := func(n int) service.NotificationPatch {
		return service.NotificationPatch{Template: ptr(strings.Repeat("é", n))}
	}
	sound := func(n int) service.NotificationPatch {
		return service.NotificationPatch{Sound: ptr(strings.Repeat("é", n))}
	}
	long := func(kind, name string) no {
		return no{domain.InvalidArgument, name + "_too_long", kind + "." + name, map[string]int{"template": 50058, "sound": 50059}[name]}
	}
	longest := events.Notifications{NewMessage: events.Notification{Template: strings.Repeat("é", 512), Sound: strings.Repeat("é", 256)}}
	missing := no{domain.NotFound, "service_not_found", "", 50050}
	run(t, []row{
		{name: "nothing given, nothing done", given: given, when: configure(service.ConfigureNotifications{})},
		{name: "all of it", given: created, when: configure(service.ConfigureNotifications{
			LogEnabled: ptr(true), BadgeCountEnabled: ptr(true),
			NewMessage:              service.NotificationPatch{Enabled: ptr(true), Template: ptr("new"), Sound: ptr("ping")},
			WithMedia:               service.MediaNotificationPatch{Enabled: ptr(true), Template: ptr("media")},
			AddedToConversation:     service.NotificationPatch{Enabled: ptr(true), Template: ptr("added"), Sound: ptr("pling")},
			RemovedFromConversation: service.NotificationPatch{Enabled: ptr(true), Template: ptr("removed"), Sound: ptr("plong")},
		}), then: configured(all)},
		{name: "some of it", given: given, when: configure(service.ConfigureNotifications{
			LogEnabled: ptr(false), WithMedia: service.MediaNotificationPatch{Template: ptr("")}, RemovedFromConversation: service.NotificationPatch{Sound: ptr("x")},
		}), then: configured(changed)},
		{name: "off where it is off", given: created, when: configure(service.ConfigureNotifications{LogEnabled: ptr(false), NewMessage: service.NotificationPatch{Enabled: ptr(false)}})},
		{name: "the longest texts", given: created, when: configure(service.ConfigureNotifications{
			NewMessage: service.NotificationPatch{Template: text(512).Template, Sound: sound(256).Sound},
		}), then: configured(longest)},
		{name: "a long text for messages", given: created, when: configure(service.ConfigureNotifications{NewMessage: text(513)}), no: long("new_message", "template")},
		{name: "a long sound for messages", given: created, when: configure(service.ConfigureNotifications{NewMessage: sound(257)}), no: long("new_message", "sound")},
		{name: "a long text for media", given: created, when: configure(service.ConfigureNotifications{WithMedia: service.MediaNotificationPatch{Template: text(513).Template}}), no: long("with_media", "template")},
		{name: "a long text for who is added", given: created, when: configure(service.ConfigureNotifications{AddedToConversation: text(513)}), no: long("added_to_conversation", "template")},
		{name: "a long sound for who is added", given: created, when: configure(service.ConfigureNotifications{AddedToConversation: sound(257)}), no: long("added_to_conversation", "sound")},
		{name: "a long text for who is removed", given: created, when: configure(service.ConfigureNotifications{RemovedFromConversation: text(513)}), no: long("removed_from_conversation", "template")},
		{name: "a long sound for who is removed", given: created, when: configure(service.ConfigureNotifications{RemovedFromConversation: sound(257)}), no: long("removed_from_conversation", "sound")},
		{name: "a service that is not there", when: configure(service.ConfigureNotifications{}), no: missing},
		{name: "a service that was removed", given: removed, when: configure(service.ConfigureNotifications{}), no: missing},
	})
	require.Equal(t, all, fold(given).Notifications)
}
