package projections_test

import (
	"fmt"
	"time"

	"github.com/parley-engine/parley/events"
)

// prefixes of the SIDs of what comes and goes on its own.
var prefixes = map[string]string{
	events.CategoryAccount: "AC", events.CategoryService: "IS", events.CategoryAPIKey: "SK",
	events.CategoryCredential: "CR", events.CategoryBinding: "BS", events.CategoryAddress: "IG", events.CategoryMedia: "ME",
}

// live makes up what happens to the things of a category: one begins, which is
// more usual, one changes or, unless end is nil, one ends.
func (w *world) live(category string, begin func(sid string) events.Event, changes []events.Event, end events.Event) (record, bool) {
	in := func(sid string, e events.Event) (record, bool) {
		return record{events.Stream(category, sid), []events.Event{e}}, true
	}
	list := w.things[category]
	chance := w.random.IntN(6)
	if len(list) == 0 || chance < 3 || chance < 5 && len(changes) == 0 {
		sid := w.sid(prefixes[category])
		w.things[category] = append(list, sid)
		return in(sid, begin(sid))
	}
	i := w.random.IntN(len(list))
	sid := list[i]
	switch {
	case chance < 5:
		return in(sid, changes[w.random.IntN(len(changes))])
	case end == nil:
		return record{}, false
	}
	w.things[category] = append(list[:i:i], list[i+1:]...)
	return in(sid, end)
}

func (w *world) changeAccount(at time.Time) (record, bool) {
	return w.live(events.CategoryAccount, func(sid string) events.Event {
		return events.AccountCreated{Account: sid, Parent: account, FriendlyName: w.text(1), At: at}
	}, []events.Event{
		events.AccountWebhooksConfigured{Webhooks: events.WebhookConfiguration{Method: "POST", Filters: []string{"onMessageAdded"}, PostWebhookURL: "https://a.example"}, At: at},
		events.AccountWebhooksConfigured{At: at},
		events.LogLossAccepted{LogEnd: "3", Seen: "5", At: at},
		events.AccountAuthTokenSet{Hash: "sha256$1", Sealed: "x", At: at},
	}, nil)
}

func (w *world) changeService(at time.Time) (record, bool) {
	return w.live(events.CategoryService, func(sid string) events.Event {
		return events.ServiceCreated{Service: sid, Account: account, FriendlyName: w.text(1), At: at}
	}, []events.Event{
		events.ServiceWebhooksConfigured{Webhooks: events.WebhookConfiguration{Method: "GET", PreWebhookURL: "https://b.example"}, At: at},
		events.ServiceNotificationsConfigured{Notifications: events.Notifications{LogEnabled: true, NewMessage: events.Notification{Enabled: true, Sound: "ping"}}, At: at},
		events.ServiceNotificationsConfigured{At: at},
	}, events.ServiceRemoved{At: at})
}

func (w *world) changeAPIKey(at time.Time) (record, bool) {
	return w.live(events.CategoryAPIKey, func(sid string) events.Event {
		return events.APIKeyCreated{APIKey: sid, Account: account, FriendlyName: w.text(1), Hash: "sha256$1", Sealed: "x", At: at}
	}, []events.Event{events.APIKeySecretReplaced{Hash: "sha256$2", Sealed: "y", At: at}}, events.APIKeyRevoked{At: at})
}

func (w *world) changeCredential(at time.Time) (record, bool) {
	return w.live(events.CategoryCredential, func(sid string) events.Event {
		return events.CredentialCreated{Credential: sid, Account: account, Type: events.PushAPN, Sandbox: true, Sealed: "x", At: at}
	}, []events.Event{events.CredentialUpdated{Type: events.PushFCM, FriendlyName: "phones", At: at}}, events.CredentialRemoved{At: at})
}

func (w *world) changeBinding(at time.Time) (record, bool) {
	kinds := []string{events.PushAPN, events.PushFCM, events.PushTwilsock}
	return w.live(events.CategoryBinding, func(sid string) events.Event {
		return events.BindingCreated{
			Binding: sid, Account: account, Service: service, Identity: fmt.Sprintf("agent-%d-0", w.random.IntN(3)),
			Type: kinds[w.random.IntN(len(kinds))], Endpoint: "device-" + sid, MessageTypes: []string{"new_message"}, At: at,
		}
	}, []events.Event{
		events.BindingUpdated{Credential: "CR1", MessageTypes: []string{"added_to_conversation", "new_message"}, At: at},
		events.BindingUpdated{At: at},
	}, events.BindingRemoved{At: at})
}

func (w *world) changeAddress(at time.Time) (record, bool) {
	return w.live(events.CategoryAddress, func(sid string) events.Event {
		return events.AddressConfigurationCreated{
			AddressConfiguration: sid, Account: account, Type: []string{"sms", "email"}[w.random.IntN(2)], Address: "to-" + sid, Country: "DE",
			AutoCreation: events.AutoCreation{Enabled: true, Type: "default"}, At: at,
		}
	}, []events.Event{
		events.AddressConfigurationUpdated{FriendlyName: w.text(1), AutoCreation: events.AutoCreation{Type: "webhook", WebhookFilters: []string{"onMessageAdded"}}, At: at},
		events.AddressConfigurationUpdated{At: at},
	}, events.AddressConfigurationRemoved{At: at})
}

// changeMedia uploads a file or removes one, attached or not.
func (w *world) changeMedia(at time.Time) (record, bool) {
	return w.live(events.CategoryMedia, func(sid string) events.Event {
		return events.MediaCreated{
			Media: sid, Account: account, Service: service, ContentType: "image/png", Filename: w.text(1), Size: 9,
			SHA256: fmt.Sprintf("%064x", w.random.IntN(20)), Author: "alba", At: at,
		}
	}, nil, events.MediaRemoved{At: at})
}

// postMedia posts a message with a file, or with one that is kept elsewhere.
// Some files are posted twice.
func (w *world) postMedia(t *talk, at time.Time) (record, bool) {
	files := w.things[events.CategoryMedia]
	if len(files) == 0 || len(t.people) == 0 {
		return record{}, false
	}
	es := w.post(t, at)
	m := es[len(es)-1].(events.MessageAdded)
	m.Media = []events.Media{{Media: files[w.random.IntN(len(files))], ContentType: "image/png", Size: 9}}
	if w.random.IntN(3) == 0 {
		m.Media = append(m.Media, events.Media{Media: "ME-elsewhere", ContentType: "image/png"}, m.Media[0])
	}
	es[len(es)-1] = m
	return record{events.Stream(events.CategoryConversation, t.sid), es}, true
}
