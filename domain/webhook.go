package domain

import (
	"cmp"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-engine/parley/events"
)

// MaxURL bounds the URL of a webhook, in bytes.
const MaxURL = 2048

// webhookEvents are the names of what webhooks tell (reference 8.2).
var webhookEvents = map[string]bool{
	"onConversationAdd": true, "onConversationAdded": true,
	"onConversationUpdate": true, "onConversationUpdated": true,
	"onConversationRemove": true, "onConversationRemoved": true,
	"onConversationStateUpdated": true,
	"onMessageAdd":               true, "onMessageAdded": true,
	"onMessageUpdate": true, "onMessageUpdated": true,
	"onMessageRemove": true, "onMessageRemoved": true,
	"onParticipantAdd": true, "onParticipantAdded": true,
	"onParticipantUpdate": true, "onParticipantUpdated": true,
	"onParticipantRemove": true, "onParticipantRemoved": true,
	"onDeliveryUpdated": true,
	"onUserAdded":       true, "onUserUpdate": true, "onUserUpdated": true,
}

// CheckWebhookEvents refuses names that are not events webhooks can tell (50365).
func CheckWebhookEvents(names []string, field string) error {
	for _, name := range names {
		if !webhookEvents[name] {
			return Refuse(InvalidArgument, "filter_invalid", field, 50365, "%.40q is not an event; known are %s", name,
				strings.Join(slices.Sorted(maps.Keys(webhookEvents)), ", "))
		}
	}
	return nil
}

// CheckURL refuses what is not an absolute http or https URL (50054) of at most
// MaxURL bytes (50372). An empty text is not judged. Letters of any script are welcome in
// host, path and query; user and password have them percent-encoded.
func CheckURL(text, field string) error {
	invalid := func(reason string, args ...any) error {
		return Refuse(InvalidArgument, "url_invalid", field, 50054, "The URL "+reason, args...)
	}
	switch u, err := url.Parse(text); {
	case text == "":
		return nil
	case len(text) > MaxURL:
		return Refuse(InvalidArgument, "url_too_long", field, 50372, "The URL is longer than %d bytes", MaxURL)
	case err != nil:
		return invalid("cannot be read: %s", whyUnread(err))
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return invalid("is not an absolute http or https URL")
	case !soundPort(u.Port()):
		return invalid("has port %.40s, and ports are 1 to 65535", u.Port())
	}
	return nil
}

// whyUnread is the reason without the URL, which may have a password in it.
func whyUnread(err error) string {
	var named *url.Error
	if errors.As(err, &named) {
		err = named.Err
	}
	if strings.Contains(err.Error(), "userinfo") {
		return "user and password must be percent-encoded"
	}
	return strings.TrimPrefix(err.Error(), "net/url: ")
}

func soundPort(port string) bool {
	number, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && number > 0
}

// WebhookPatch changes what is given of an account's or service's webhook
// configuration. A list with one empty name, as a form sends an empty list,
// clears the filters.
type WebhookPatch struct {
	Method, PreWebhookURL, PostWebhookURL, Target *string
	Filters                                       []string
}

// Apply returns the configuration with the changes, or refuses them.
func (p WebhookPatch) Apply(w events.WebhookConfiguration) (events.WebhookConfiguration, error) {
	if p.Filters != nil {
		w.Filters = slices.DeleteFunc(slices.Clone(p.Filters), func(name string) bool { return name == "" })
	}
	given(&w.PreWebhookURL, p.PreWebhookURL)
	given(&w.PostWebhookURL, p.PostWebhookURL)
	given(&w.Method, p.Method)
	given(&w.Target, p.Target)
	w.Method, w.Target = strings.ToUpper(w.Method), strings.ToLower(w.Target)
	return w, cmp.Or(
		CheckURL(w.PreWebhookURL, "pre_webhook_url"),
		CheckURL(w.PostWebhookURL, "post_webhook_url"),
		CheckWebhookEvents(w.Filters, "filters"),
		checkOneOf(w.Method, "method", 50055, "GET", "POST"),
		checkOneOf(w.Target, "target", 50364, "webhook", "flex"),
	)
}

// SameWebhooks compares two configurations.
func SameWebhooks(a, b events.WebhookConfiguration) bool {
	return slices.Equal(a.Filters, b.Filters) && a.Method == b.Method && a.Target == b.Target &&
		a.PreWebhookURL == b.PreWebhookURL && a.PostWebhookURL == b.PostWebhookURL
}

func checkOneOf(text, field string, twilio int, allowed ...string) error {
	if text == "" || slices.Contains(allowed, text) {
		return nil
	}
	return Refuse(InvalidArgument, field+"_invalid", field, twilio, "%.40q is none of %s", text, strings.Join(allowed, ", "))
}

func given(field, patch *string) {
	if patch != nil {
		*field = *patch
	}
}
