package rest

import (
	"strings"

	"github.com/parley-engine/parley/domain/binding"
	"github.com/parley-engine/parley/domain/credential"
	"github.com/parley-engine/parley/projections"
)

// credentialBody is a push credential (reference 1.9.15). Its secrets are never
// shown; sandbox is text.
type credentialBody struct {
	Sid          string  `json:"sid"`
	AccountSid   string  `json:"account_sid"`
	FriendlyName *string `json:"friendly_name"`
	Type         string  `json:"type" values:"apn|gcm|fcm"`
	Sandbox      string  `json:"sandbox" values:"True|False"`
	DateCreated  string  `json:"date_created" format:"date-time"`
	DateUpdated  string  `json:"date_updated" format:"date-time"`
	URL          string  `json:"url"`
}

func (c *call) credentialBody(row projections.Credential) credentialBody {
	body := credentialBody{
		Sid: row.Sid, AccountSid: row.AccountSid, FriendlyName: maybe(row.FriendlyName), Type: row.Type, Sandbox: "False",
		DateCreated: stamp(row.DateCreated), DateUpdated: stamp(row.DateUpdated), URL: c.root() + "/Credentials/" + row.Sid,
	}
	if row.Sandbox {
		body.Sandbox = "True"
	}
	return body
}

func (c *call) showCredential(sid string) error {
	row, err := c.Models.Credential(c.r.Context(), sid)
	if err := c.found(err, row.AccountSid, ""); err != nil {
		return err
	}
	c.revised(row.LastRevision)
	return c.answer(c.credentialBody(row))
}

func fetchCredential(c *call) error {
	sid := c.r.PathValue("Sid")
	if err := c.fresh(sid); err != nil {
		return err
	}
	return c.showCredential(sid)
}

func (c *call) credentials(p projections.Page) (projections.List[projections.Credential], error) {
	return c.Models.Credentials(c.r.Context(), c.place.Account, p)
}

func (v values) secrets() credential.Secrets {
	return credential.Secrets{Certificate: v.str("Certificate"), PrivateKey: v.str("PrivateKey"), APIKey: v.str("ApiKey"), Secret: v.str("Secret")}
}

func createCredential(c *call) error {
	v := c.values
	create := credential.Create{Type: v.str("Type"), FriendlyName: v.str("FriendlyName"), Secrets: v.secrets()}
	if sandbox := v.flag("Sandbox"); sandbox != nil {
		create.Sandbox = *sandbox
	}
	return c.make(create, c.showCredential)
}

func updateCredential(c *call) error {
	v := c.values
	return c.change(c.r.PathValue("Sid"), credential.Update{
		Type: v.text("Type"), FriendlyName: v.text("FriendlyName"), Sandbox: v.flag("Sandbox"), Secrets: v.secrets(),
	}, c.showCredential)
}

func deleteCredential(c *call) error { return c.remove(c.r.PathValue("Sid"), credential.Remove{}) }

// pushBindingBody is a device (reference 1.9.16).
type pushBindingBody struct {
	Sid            string   `json:"sid"`
	AccountSid     string   `json:"account_sid"`
	ChatServiceSid string   `json:"chat_service_sid"`
	CredentialSid  *string  `json:"credential_sid"`
	Endpoint       string   `json:"endpoint"`
	Identity       string   `json:"identity"`
	BindingType    string   `json:"binding_type" values:"apn|gcm|fcm|twilsock"`
	MessageTypes   []string `json:"message_types"`
	DateCreated    string   `json:"date_created" format:"date-time"`
	DateUpdated    string   `json:"date_updated" format:"date-time"`
	URL            string   `json:"url"`
}

func (c *call) pushBindingBody(row projections.PushBinding) pushBindingBody {
	return pushBindingBody{
		Sid: row.Sid, AccountSid: row.AccountSid, ChatServiceSid: row.ChatServiceSid, CredentialSid: maybe(row.CredentialSid),
		Endpoint: row.Endpoint, Identity: row.Identity, BindingType: row.BindingType, MessageTypes: names(row.MessageTypes),
		DateCreated: stamp(row.DateCreated), DateUpdated: stamp(row.DateUpdated), URL: c.base() + "/Bindings/" + row.Sid,
	}
}

func fetchBinding(c *call) error {
	sid := c.r.PathValue("Sid")
	if err := c.fresh(sid); err != nil {
		return err
	}
	row, err := c.Models.PushBinding(c.r.Context(), sid)
	if err := c.found(err, row.AccountSid, row.ChatServiceSid); err != nil {
		return err
	}
	c.revised(row.LastRevision)
	return c.answer(c.pushBindingBody(row))
}

func (c *call) pushBindings(p projections.Page) (projections.List[projections.PushBinding], error) {
	filter := projections.PushBindingFilter{Service: c.place.Service, Identities: c.values.list("Identity")}
	for _, t := range c.values.list("BindingType") {
		filter.Types = append(filter.Types, strings.ToLower(t))
	}
	return c.Models.PushBindings(c.r.Context(), filter, p)
}

func deleteBinding(c *call) error { return c.remove(c.r.PathValue("Sid"), binding.Remove{}) }
