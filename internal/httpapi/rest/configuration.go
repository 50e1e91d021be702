package rest

import (
	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
)

// configurationBody is an account's configuration (reference 1.9.1).
type configurationBody struct {
	AccountSid                 string             `json:"account_sid"`
	DefaultChatServiceSid      *string            `json:"default_chat_service_sid"`
	DefaultMessagingServiceSid *string            `json:"default_messaging_service_sid"`
	DefaultInactiveTimer       *string            `json:"default_inactive_timer"`
	DefaultClosedTimer         *string            `json:"default_closed_timer"`
	URL                        string             `json:"url"`
	Links                      configurationLinks `json:"links"`
}

type configurationLinks struct {
	Service  string `json:"service"`
	Webhooks string `json:"webhooks"`
}

func (c *call) showConfiguration() error {
	row, err := c.account()
	if err != nil {
		return err
	}
	url := c.root() + "/Configuration"
	return c.answer(configurationBody{
		AccountSid: row.Sid, DefaultChatServiceSid: maybe(row.DefaultChatServiceSid), DefaultMessagingServiceSid: maybe(row.DefaultMessagingServiceSid),
		DefaultInactiveTimer: maybe(row.DefaultInactiveTimer), DefaultClosedTimer: maybe(row.DefaultClosedTimer), URL: url,
		Links: configurationLinks{Service: c.root() + "/Services/" + row.DefaultChatServiceSid + "/Configuration", Webhooks: url + "/Webhooks"},
	})
}

// account reads the account the call is for.
func (c *call) account() (projections.Account, error) {
	row, err := c.Models.Account(c.r.Context(), c.place.Account)
	if err = c.found(err, row.Sid, ""); err == nil {
		c.revised(row.LastRevision)
	}
	return row, err
}

func fetchConfiguration(c *call) error {
	if err := c.fresh(c.place.Account); err != nil {
		return err
	}
	return c.showConfiguration()
}

func updateConfiguration(c *call) error {
	v := c.values
	return c.change(c.place.Account, account.Configure{
		DefaultService: v.text("DefaultChatServiceSid"), DefaultMessagingService: v.text("DefaultMessagingServiceSid"),
		DefaultInactiveTimer: v.text("DefaultInactiveTimer"), DefaultClosedTimer: v.text("DefaultClosedTimer"),
	}, func(string) error { return c.showConfiguration() })
}

// accountWebhooksBody is an account's webhook configuration (reference 1.9.2).
type accountWebhooksBody struct {
	AccountSid     string   `json:"account_sid"`
	Method         string   `json:"method" values:"GET|POST"`
	Filters        []string `json:"filters"`
	PreWebhookURL  *string  `json:"pre_webhook_url"`
	PostWebhookURL *string  `json:"post_webhook_url"`
	Target         string   `json:"target" values:"webhook|flex"`
	URL            string   `json:"url"`
}

func (c *call) showAccountWebhooks() error {
	row, err := c.account()
	if err != nil {
		return err
	}
	w := row.Webhooks
	return c.answer(accountWebhooksBody{
		AccountSid: row.Sid, Method: otherwise(w.Method, "POST"), Filters: names(w.Filters), PreWebhookURL: maybe(w.PreWebhookURL),
		PostWebhookURL: maybe(w.PostWebhookURL), Target: otherwise(w.Target, "webhook"), URL: c.root() + "/Configuration/Webhooks",
	})
}

func fetchAccountWebhooks(c *call) error {
	if err := c.fresh(c.place.Account); err != nil {
		return err
	}
	return c.showAccountWebhooks()
}

func updateAccountWebhooks(c *call) error {
	v := c.values
	return c.change(c.place.Account, account.ConfigureWebhooks{
		Method: v.text("Method"), Filters: v.list("Filters"), PreWebhookURL: v.text("PreWebhookUrl"),
		PostWebhookURL: v.text("PostWebhookUrl"), Target: v.text("Target"),
	}, func(string) error { return c.showAccountWebhooks() })
}

// serviceBody is a service (reference 1.9.4).
type serviceBody struct {
	Sid          string       `json:"sid"`
	AccountSid   string       `json:"account_sid"`
	FriendlyName string       `json:"friendly_name"`
	DateCreated  string       `json:"date_created" format:"date-time"`
	DateUpdated  string       `json:"date_updated" format:"date-time"`
	URL          string       `json:"url"`
	Links        serviceLinks `json:"links"`
}

type serviceLinks struct {
	Conversations                string `json:"conversations"`
	Users                        string `json:"users"`
	Roles                        string `json:"roles"`
	Bindings                     string `json:"bindings"`
	Configuration                string `json:"configuration"`
	ParticipantConversations     string `json:"participant_conversations"`
	ConversationWithParticipants string `json:"conversation_with_participants"`
}

func (c *call) serviceBody(row projections.Service) serviceBody {
	url := c.root() + "/Services/" + row.Sid
	return serviceBody{
		Sid: row.Sid, AccountSid: row.AccountSid, FriendlyName: row.FriendlyName,
		DateCreated: stamp(row.DateCreated), DateUpdated: stamp(row.DateUpdated), URL: url,
		Links: serviceLinks{Conversations: url + "/Conversations", Users: url + "/Users", Roles: url + "/Roles", Bindings: url + "/Bindings",
			Configuration: url + "/Configuration", ParticipantConversations: url + "/ParticipantConversations",
			ConversationWithParticipants: url + "/ConversationWithParticipants"},
	}
}

func (c *call) service(sid string) (projections.Service, error) {
	row, err := c.Models.Service(c.r.Context(), sid)
	if err = c.found(err, row.AccountSid, ""); err == nil {
		c.revised(row.LastRevision)
	}
	return row, err
}

func (c *call) showService(sid string) error {
	row, err := c.service(sid)
	if err != nil {
		return err
	}
	return c.answer(c.serviceBody(row))
}

// inNamedService lets the calls whose last segment is a service act there, also
// in a service of a sub-account.
func (c *call) inNamedService() (string, error) {
	place, err := c.Engine.Place(c.r.Context(), c.place.Account, c.r.PathValue("Sid"))
	if err != nil {
		return "", err
	}
	c.place = place
	return place.Service, nil
}

func fetchService(c *call) error {
	sid, err := c.inNamedService()
	if err != nil {
		return err
	}
	if err := c.fresh(sid); err != nil {
		return err
	}
	return c.showService(sid)
}

func (c *call) services(p projections.Page) (projections.List[projections.Service], error) {
	return c.Models.Services(c.r.Context(), c.place.Account, p)
}

func createService(c *call) error {
	c.place.Service = "" // it is in the account, not in another service
	return c.make(service.Create{FriendlyName: c.values.str("FriendlyName")}, c.showService)
}

func deleteService(c *call) error {
	sid, err := c.inNamedService()
	if err != nil && c.r.Header.Get("Idempotency-Key") != "" {
		// The same request may have removed it before: that is for the engine to know.
		sid, err = c.r.PathValue("Sid"), nil
		c.place.Service = sid
	}
	if err != nil {
		return err
	}
	return c.remove(sid, service.Remove{})
}

// serviceConfigurationBody is a service's configuration (reference 1.9.5).
type serviceConfigurationBody struct {
	ChatServiceSid                    string                    `json:"chat_service_sid"`
	DefaultConversationCreatorRoleSid *string                   `json:"default_conversation_creator_role_sid"`
	DefaultConversationRoleSid        *string                   `json:"default_conversation_role_sid"`
	DefaultChatServiceRoleSid         *string                   `json:"default_chat_service_role_sid"`
	ReachabilityEnabled               bool                      `json:"reachability_enabled"`
	URL                               string                    `json:"url"`
	Links                             serviceConfigurationLinks `json:"links"`
}

type serviceConfigurationLinks struct {
	Notifications string `json:"notifications"`
	Webhooks      string `json:"webhooks"`
}

func (c *call) showServiceConfiguration(sid string) error {
	row, err := c.service(sid)
	if err != nil {
		return err
	}
	url := c.base() + "/Configuration"
	return c.answer(serviceConfigurationBody{
		ChatServiceSid: row.Sid, DefaultConversationCreatorRoleSid: maybe(row.DefaultConversationCreatorRoleSid),
		DefaultConversationRoleSid: maybe(row.DefaultConversationRoleSid), DefaultChatServiceRoleSid: maybe(row.DefaultChatServiceRoleSid),
		ReachabilityEnabled: row.ReachabilityEnabled, URL: url,
		Links: serviceConfigurationLinks{Notifications: url + "/Notifications", Webhooks: url + "/Webhooks"},
	})
}

// ofService shows something of the path's service.
func ofService(show func(*call, string) error) func(*call) error {
	return func(c *call) error {
		if err := c.fresh(c.place.Service); err != nil {
			return err
		}
		return show(c, c.place.Service)
	}
}

func updateServiceConfiguration(c *call) error {
	v := c.values
	return c.change(c.place.Service, service.Configure{
		CreatorRole: v.text("DefaultConversationCreatorRoleSid"), ConversationRole: v.text("DefaultConversationRoleSid"),
		ServiceRole: v.text("DefaultChatServiceRoleSid"), ReachabilityEnabled: v.flag("ReachabilityEnabled"),
	}, c.showServiceConfiguration)
}

// serviceWebhooksBody is a service's webhook configuration (reference 1.9.7). What
// was never configured is null.
type serviceWebhooksBody struct {
	AccountSid     string   `json:"account_sid"`
	ChatServiceSid string   `json:"chat_service_sid"`
	PreWebhookURL  *string  `json:"pre_webhook_url"`
	PostWebhookURL *string  `json:"post_webhook_url"`
	Filters        []string `json:"filters"`
	Method         *string  `json:"method"`
	URL            string   `json:"url"`
}

func (c *call) showServiceWebhooks(sid string) error {
	row, err := c.service(sid)
	if err != nil {
		return err
	}
	w := row.Webhooks
	return c.answer(serviceWebhooksBody{
		AccountSid: row.AccountSid, ChatServiceSid: row.Sid, PreWebhookURL: maybe(w.PreWebhookURL), PostWebhookURL: maybe(w.PostWebhookURL),
		Filters: w.Filters, Method: maybe(w.Method), URL: c.base() + "/Configuration/Webhooks",
	})
}

func updateServiceWebhooks(c *call) error {
	v := c.values
	return c.change(c.place.Service, service.ConfigureWebhooks{
		Method: v.text("Method"), Filters: v.list("Filters"), PreWebhookURL: v.text("PreWebhookUrl"), PostWebhookURL: v.text("PostWebhookUrl"),
	}, c.showServiceWebhooks)
}

// notificationsBody is what a service pushes to devices (reference 1.9.6).
type notificationsBody struct {
	AccountSid              string           `json:"account_sid"`
	ChatServiceSid          string           `json:"chat_service_sid"`
	LogEnabled              bool             `json:"log_enabled"`
	NewMessage              newMessageBody   `json:"new_message"`
	AddedToConversation     notificationBody `json:"added_to_conversation"`
	RemovedFromConversation notificationBody `json:"removed_from_conversation"`
	URL                     string           `json:"url"`
}

type newMessageBody struct {
	notificationBody
	BadgeCountEnabled bool                  `json:"badge_count_enabled"`
	WithMedia         mediaNotificationBody `json:"with_media"`
}

type notificationBody struct {
	Enabled  bool    `json:"enabled"`
	Template *string `json:"template"`
	Sound    *string `json:"sound"`
}

type mediaNotificationBody struct {
	Enabled  bool    `json:"enabled"`
	Template *string `json:"template"`
}

func notification(n events.Notification) notificationBody {
	return notificationBody{Enabled: n.Enabled, Template: maybe(n.Template), Sound: maybe(n.Sound)}
}

func (c *call) showNotifications(sid string) error {
	row, err := c.service(sid)
	if err != nil {
		return err
	}
	n := row.Notifications
	return c.answer(notificationsBody{
		AccountSid: row.AccountSid, ChatServiceSid: row.Sid, LogEnabled: n.LogEnabled,
		NewMessage: newMessageBody{notificationBody: notification(n.NewMessage), BadgeCountEnabled: n.BadgeCountEnabled,
			WithMedia: mediaNotificationBody{Enabled: n.WithMedia.Enabled, Template: maybe(n.WithMedia.Template)}},
		AddedToConversation: notification(n.AddedToConversation), RemovedFromConversation: notification(n.RemovedFromConversation),
		URL: c.base() + "/Configuration/Notifications",
	})
}

func (v values) notification(kind string) service.NotificationPatch {
	return service.NotificationPatch{Enabled: v.flag(kind + ".Enabled"), Template: v.text(kind + ".Template"), Sound: v.text(kind + ".Sound")}
}

func updateNotifications(c *call) error {
	v := c.values
	return c.change(c.place.Service, service.ConfigureNotifications{
		LogEnabled: v.flag("LogEnabled"), NewMessage: v.notification("NewMessage"), BadgeCountEnabled: v.flag("NewMessage.BadgeCountEnabled"),
		WithMedia:           service.MediaNotificationPatch{Enabled: v.flag("NewMessage.WithMedia.Enabled"), Template: v.text("NewMessage.WithMedia.Template")},
		AddedToConversation: v.notification("AddedToConversation"), RemovedFromConversation: v.notification("RemovedFromConversation"),
	}, c.showNotifications)
}

func otherwise(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

// names is never null.
func names(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
