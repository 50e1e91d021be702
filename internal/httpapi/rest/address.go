package rest

import (
	"strings"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/address"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
)

// addressBody is an address configuration (reference 1.9.3).
type addressBody struct {
	Sid            string           `json:"sid"`
	AccountSid     string           `json:"account_sid"`
	Type           string           `json:"type"`
	Address        string           `json:"address"`
	FriendlyName   *string          `json:"friendly_name"`
	AutoCreation   autoCreationBody `json:"auto_creation"`
	AddressCountry *string          `json:"address_country"`
	DateCreated    string           `json:"date_created" format:"date-time"`
	DateUpdated    string           `json:"date_updated" format:"date-time"`
	URL            string           `json:"url"`
}

// autoCreationBody has the fields its type has a use for.
type autoCreationBody struct {
	Enabled                bool     `json:"enabled"`
	Type                   string   `json:"type" values:"webhook|studio|default"`
	ConversationServiceSid string   `json:"conversation_service_sid,omitempty"`
	WebhookURL             string   `json:"webhook_url,omitempty"`
	WebhookMethod          string   `json:"webhook_method,omitempty"`
	WebhookFilters         []string `json:"webhook_filters,omitempty"`
	StudioFlowSid          string   `json:"studio_flow_sid,omitempty"`
	StudioRetryCount       *int     `json:"studio_retry_count,omitempty"`
}

func autoCreationOf(a events.AutoCreation) autoCreationBody {
	body := autoCreationBody{
		Enabled: a.Enabled, Type: otherwise(a.Type, "default"), ConversationServiceSid: a.Service, WebhookURL: a.WebhookURL,
		WebhookMethod: strings.ToUpper(a.WebhookMethod), WebhookFilters: a.WebhookFilters, StudioFlowSid: a.StudioFlow,
	}
	if a.Type == "studio" {
		body.StudioRetryCount = &a.StudioRetries
	}
	return body
}

func (c *call) addressBody(row projections.AddressConfiguration) addressBody {
	return addressBody{
		Sid: row.Sid, AccountSid: row.AccountSid, Type: row.Type, Address: row.Address, FriendlyName: maybe(row.FriendlyName),
		AutoCreation: autoCreationOf(row.AutoCreation), AddressCountry: maybe(row.AddressCountry),
		DateCreated: stamp(row.DateCreated), DateUpdated: stamp(row.DateUpdated), URL: c.root() + "/Configuration/Addresses/" + row.Sid,
	}
}

func (c *call) address(ref string) (projections.AddressConfiguration, error) {
	if err := c.fresh(c.place.Account); err != nil {
		return projections.AddressConfiguration{}, err
	}
	row, err := c.Models.AddressConfiguration(c.r.Context(), c.place.Account, ref)
	return row, c.found(err, row.AccountSid, "")
}

func (c *call) showAddress(ref string) error {
	row, err := c.address(ref)
	if err != nil {
		return err
	}
	c.revised(row.LastRevision)
	return c.answer(c.addressBody(row))
}

func fetchAddress(c *call) error { return c.showAddress(c.r.PathValue("Sid")) }

func (c *call) addresses(p projections.Page) (projections.List[projections.AddressConfiguration], error) {
	filter := projections.AddressConfigurationFilter{Account: c.place.Account, Type: strings.ToLower(c.values.str("Type"))}
	return c.Models.AddressConfigurations(c.r.Context(), filter, p)
}

func (v values) autoCreation() address.AutoCreationPatch {
	patch := address.AutoCreationPatch{
		Enabled: v.flag("AutoCreation.Enabled"), Type: v.text("AutoCreation.Type"), Service: v.text("AutoCreation.ConversationServiceSid"),
		WebhookURL: v.text("AutoCreation.WebhookUrl"), WebhookMethod: v.text("AutoCreation.WebhookMethod"),
		WebhookFilters: v.list("AutoCreation.WebhookFilters"), StudioFlow: v.text("AutoCreation.StudioFlowSid"),
	}
	if n := v.integer("AutoCreation.StudioRetryCount"); n != nil {
		retries := int(max(-1, min(*n, 1<<20))) // out of range is for the domain to refuse
		patch.StudioRetries = &retries
	}
	return patch
}

func createAddress(c *call) error {
	v := c.values
	return c.make(address.Create{
		Type: v.str("Type"), Address: v.str("Address"), FriendlyName: v.str("FriendlyName"),
		Country: v.str("AddressCountry"), AutoCreation: v.autoCreation(),
	}, c.showAddress)
}

// addressSid returns the SID behind the path: it may also be the address itself.
func (c *call) addressSid() (string, error) {
	ref := c.r.PathValue("Sid")
	if domain.IsSID("IG", ref) {
		return ref, nil
	}
	row, err := c.address(ref)
	return row.Sid, err
}

func updateAddress(c *call) error {
	sid, err := c.addressSid()
	if err != nil {
		return err
	}
	return c.change(sid, address.Update{FriendlyName: c.values.text("FriendlyName"), AutoCreation: c.values.autoCreation()}, c.showAddress)
}

func deleteAddress(c *call) error {
	sid, err := c.addressSid()
	if err != nil {
		return err
	}
	return c.remove(sid, address.Remove{})
}
