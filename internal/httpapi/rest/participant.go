package rest

import (
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
)

// participantBody is a participant (reference 1.9.10).
type participantBody struct {
	Sid                  string       `json:"sid"`
	AccountSid           string       `json:"account_sid"`
	ChatServiceSid       string       `json:"chat_service_sid,omitempty"`
	ConversationSid      string       `json:"conversation_sid"`
	Identity             *string      `json:"identity"`
	Attributes           string       `json:"attributes"`
	MessagingBinding     *bindingBody `json:"messaging_binding"`
	RoleSid              *string      `json:"role_sid"`
	LastReadMessageIndex *int64       `json:"last_read_message_index"`
	LastReadTimestamp    *string      `json:"last_read_timestamp"`
	DateCreated          string       `json:"date_created" format:"date-time"`
	DateUpdated          string       `json:"date_updated" format:"date-time"`
	URL                  string       `json:"url"`
}

type bindingBody struct {
	Type             string `json:"type"`
	Address          string `json:"address,omitempty"`
	ProxyAddress     string `json:"proxy_address,omitempty"`
	ProjectedAddress string `json:"projected_address,omitempty"`
	Level            string `json:"level,omitempty"`
	Name             string `json:"name,omitempty"`
}

func bindingBodyOf(b projections.Binding) *bindingBody {
	if b == (projections.Binding{}) {
		return nil
	}
	body := bindingBody(b)
	return &body
}

// within is the service of a resource that names it in the service form only
// (reference 1.8).
func (c *call) within(service string) string {
	if c.inService {
		return service
	}
	return ""
}

func (c *call) participantBody(row projections.Participant) participantBody {
	return participantBody{
		Sid: row.Sid, AccountSid: row.AccountSid, ChatServiceSid: c.within(row.ChatServiceSid), ConversationSid: row.ConversationSid,
		Identity: maybe(row.Identity), Attributes: row.Attributes, MessagingBinding: bindingBodyOf(row.MessagingBinding),
		RoleSid: maybe(row.RoleSid), LastReadMessageIndex: row.LastReadMessageIndex, LastReadTimestamp: maybeStamp(row.LastReadTimestamp),
		DateCreated: stamp(row.DateCreated), DateUpdated: stamp(row.DateUpdated),
		URL: c.base() + "/Conversations/" + row.ConversationSid + "/Participants/" + row.Sid,
	}
}

func (c *call) showParticipant(conversation, ref string) error {
	row, err := c.Models.Participant(c.r.Context(), c.place.Service, conversation, ref)
	if err := c.found(err, row.AccountSid, row.ChatServiceSid); err != nil {
		return err
	}
	c.revised(row.Revision)
	return c.answer(c.participantBody(row))
}

func (c *call) showNamedParticipant(conversation string) error {
	return c.showParticipant(conversation, c.r.PathValue("Sid"))
}

func (c *call) participants(conversation string, p projections.Page) (projections.List[projections.Participant], error) {
	return c.Models.Participants(c.r.Context(), c.place.Service, conversation, p)
}

func createParticipant(c *call) error {
	v := c.values
	return c.changeIn("ConversationSid", conversation.AddParticipant{
		Identity: v.str("Identity"), Address: v.str("MessagingBinding.Address"), ProxyAddress: v.str("MessagingBinding.ProxyAddress"),
		ProjectedAddress: v.str("MessagingBinding.ProjectedAddress"), Level: v.str("MessagingBinding.Level"), Name: v.str("MessagingBinding.Name"),
		Attributes: v.str("Attributes"), Role: v.str("RoleSid"), DateCreated: v.date("DateCreated"), DateUpdated: v.date("DateUpdated"),
	}, func(in string, o engine.Outcome) error { return c.showParticipant(in, o.Sid) })
}

func updateParticipant(c *call) error {
	v, ref := c.values, c.r.PathValue("Sid")
	return c.changeIn("ConversationSid", conversation.UpdateParticipant{
		Participant: ref, Identity: v.text("Identity"), Attributes: v.text("Attributes"), Role: v.text("RoleSid"),
		ProxyAddress: v.text("MessagingBinding.ProxyAddress"), ProjectedAddress: v.text("MessagingBinding.ProjectedAddress"),
		LastReadIndex: v.integer("LastReadMessageIndex"), LastReadTimestamp: v.date("LastReadTimestamp"),
		DateCreated: v.date("DateCreated"), DateUpdated: v.date("DateUpdated"),
	}, func(in string, _ engine.Outcome) error { return c.showParticipant(in, ref) })
}

func deleteParticipant(c *call) error {
	return c.removeIn("ConversationSid", conversation.RemoveParticipant{Participant: c.r.PathValue("Sid")})
}

// participantConversationBody is a place where somebody takes part (reference
// 1.9.20).
type participantConversationBody struct {
	AccountSid                  string                       `json:"account_sid"`
	ChatServiceSid              string                       `json:"chat_service_sid"`
	ParticipantSid              string                       `json:"participant_sid"`
	ParticipantUserSid          *string                      `json:"participant_user_sid"`
	ParticipantIdentity         *string                      `json:"participant_identity"`
	ParticipantMessagingBinding *wholeBindingBody            `json:"participant_messaging_binding"`
	ConversationSid             string                       `json:"conversation_sid"`
	ConversationUniqueName      *string                      `json:"conversation_unique_name"`
	ConversationFriendlyName    *string                      `json:"conversation_friendly_name"`
	ConversationAttributes      string                       `json:"conversation_attributes"`
	ConversationDateCreated     string                       `json:"conversation_date_created" format:"date-time"`
	ConversationDateUpdated     string                       `json:"conversation_date_updated" format:"date-time"`
	ConversationCreatedBy       string                       `json:"conversation_created_by"`
	ConversationState           string                       `json:"conversation_state" values:"active|inactive|closed"`
	ConversationTimers          timersBody                   `json:"conversation_timers"`
	Links                       participantConversationLinks `json:"links"`
}

type wholeBindingBody struct {
	Type             *string `json:"type"`
	Address          *string `json:"address"`
	ProxyAddress     *string `json:"proxy_address"`
	Level            *string `json:"level"`
	Name             *string `json:"name"`
	ProjectedAddress *string `json:"projected_address"`
}

type participantConversationLinks struct {
	Participant  string `json:"participant"`
	Conversation string `json:"conversation"`
}

func (c *call) participantConversationBody(row projections.ParticipantConversation) participantConversationBody {
	in, p := row.Conversation, row.Participant
	url := c.base() + "/Conversations/" + in.Sid
	body := participantConversationBody{
		AccountSid: in.AccountSid, ChatServiceSid: in.ChatServiceSid, ParticipantSid: p.Sid, ParticipantUserSid: maybe(p.UserSid),
		ParticipantIdentity: maybe(p.Identity), ConversationSid: in.Sid, ConversationUniqueName: maybe(in.UniqueName),
		ConversationFriendlyName: maybe(in.FriendlyName), ConversationAttributes: in.Attributes,
		ConversationDateCreated: stamp(in.DateCreated), ConversationDateUpdated: stamp(in.DateUpdated),
		ConversationCreatedBy: in.CreatedBy, ConversationState: in.State, ConversationTimers: timersOf(in),
		Links: participantConversationLinks{Participant: url + "/Participants/" + p.Sid, Conversation: url},
	}
	if b := p.MessagingBinding; b != (projections.Binding{}) {
		body.ParticipantMessagingBinding = &wholeBindingBody{Type: maybe(b.Type), Address: maybe(b.Address), ProxyAddress: maybe(b.ProxyAddress),
			Level: maybe(b.Level), Name: maybe(b.Name), ProjectedAddress: maybe(b.ProjectedAddress)}
	}
	return body
}

func (c *call) participantConversations(p projections.Page) (list projections.List[projections.ParticipantConversation], err error) {
	identity, address := c.values.str("Identity"), c.values.str("Address")
	switch {
	case identity != "" && address != "":
		return list, invalidParameter(50451, "Address", "Either Identity or Address, not both")
	case identity == "" && address == "":
		return list, invalidParameter(20001, "Identity", "Identity or Address is required")
	case c.caller.identity != "" && identity != c.caller.identity:
		return list, forbidden("A user can look up his own conversations only")
	case address != "":
		return c.Models.ParticipantConversationsByAddress(c.r.Context(), c.place.Service, address, p)
	}
	return c.Models.ParticipantConversationsByIdentity(c.r.Context(), c.place.Service, identity, p)
}
