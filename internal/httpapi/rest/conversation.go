package rest

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
)

// conversationBody is a conversation (reference 1.9.8).
type conversationBody struct {
	Sid                 string            `json:"sid"`
	AccountSid          string            `json:"account_sid"`
	ChatServiceSid      string            `json:"chat_service_sid"`
	MessagingServiceSid *string           `json:"messaging_service_sid"`
	FriendlyName        *string           `json:"friendly_name"`
	UniqueName          *string           `json:"unique_name"`
	Attributes          string            `json:"attributes"`
	State               string            `json:"state" values:"initializing|active|inactive|closed"`
	DateCreated         string            `json:"date_created" format:"date-time"`
	DateUpdated         string            `json:"date_updated" format:"date-time"`
	Timers              timersBody        `json:"timers"`
	Bindings            bindingsBody      `json:"bindings"`
	PredecessorSid      *string           `json:"predecessor_sid,omitempty"`
	SuccessorSid        *string           `json:"successor_sid,omitempty"`
	URL                 string            `json:"url"`
	Links               conversationLinks `json:"links"`
}

type timersBody struct {
	DateInactive string `json:"date_inactive,omitempty" format:"date-time"`
	DateClosed   string `json:"date_closed,omitempty" format:"date-time"`
}

type bindingsBody struct {
	Email *emailBody `json:"email,omitempty"`
}

type emailBody struct {
	ProjectedAddress string `json:"projected_address"`
	Name             string `json:"name"`
}

type conversationLinks struct {
	Participants string `json:"participants"`
	Messages     string `json:"messages"`
	Webhooks     string `json:"webhooks"`
	Export       string `json:"export,omitempty"`
}

func (c *call) conversationBody(row projections.Conversation) conversationBody {
	url := c.base() + "/Conversations/" + row.Sid
	body := conversationBody{
		Sid: row.Sid, AccountSid: row.AccountSid, ChatServiceSid: row.ChatServiceSid,
		MessagingServiceSid: maybe(row.MessagingServiceSid), FriendlyName: maybe(row.FriendlyName), UniqueName: maybe(row.UniqueName),
		Attributes: row.Attributes, State: row.State, DateCreated: stamp(row.DateCreated), DateUpdated: stamp(row.DateUpdated),
		Timers: timersOf(row), PredecessorSid: maybe(row.Predecessor), SuccessorSid: maybe(row.Successor), URL: url,
		Links: conversationLinks{Participants: url + "/Participants", Messages: url + "/Messages", Webhooks: url + "/Webhooks", Export: url + "/Export"},
	}
	if row.EmailAddress != "" || row.EmailName != "" {
		body.Bindings.Email = &emailBody{ProjectedAddress: row.EmailAddress, Name: row.EmailName}
	}
	return body
}

func timersOf(row projections.Conversation) (t timersBody) {
	if at := row.DateInactive(); !at.IsZero() {
		t.DateInactive = stamp(at)
	}
	if at := row.DateClosed(); !at.IsZero() {
		t.DateClosed = stamp(at)
	}
	return t
}

// showConversation answers with the conversation as the read models have it.
func (c *call) showConversation(sid string) error {
	row, err := c.Models.Conversation(c.r.Context(), c.place.Service, sid)
	if err := c.found(err, row.AccountSid, row.ChatServiceSid); err != nil {
		return err
	}
	c.revised(row.LastRevision)
	return c.answer(c.conversationBody(row))
}

func (c *call) conversations(p projections.Page) (projections.List[projections.Conversation], error) {
	filter, err := c.conversationFilter()
	if err != nil {
		return projections.List[projections.Conversation]{}, err
	}
	return c.Models.Conversations(c.r.Context(), filter, p)
}

// conversationFilter: with a date the newest come first (reference 1.9.8). A user
// sees the conversations he takes part in.
func (c *call) conversationFilter() (projections.ConversationFilter, error) {
	f := projections.ConversationFilter{Service: c.place.Service, State: strings.ToLower(c.values.str("State")), Ascending: true, Member: c.caller.identity}
	if t := c.values.text("StartDate"); t != nil {
		f.From, _, _ = parseDay(*t)
		f.Ascending = false
	}
	if t := c.values.text("EndDate"); t != nil {
		f.To, f.Ascending = endOf(*t), false
	}
	if !f.From.IsZero() && !f.To.IsZero() && f.To.Before(f.From) {
		return f, invalidParameter(50396, "EndDate", "EndDate is before StartDate")
	}
	return f, nil
}

// endOf is the last instant of a second, or of a day that is given alone.
func endOf(t string) time.Time {
	at, whole, _ := parseDay(t)
	if whole {
		return at.Add(24*time.Hour - time.Millisecond)
	}
	return at.Truncate(time.Second).Add(time.Second - time.Millisecond)
}

func createConversation(c *call) error { return c.make(c.newConversation(), c.showConversation) }

func (c *call) newConversation() conversation.Create {
	v := c.values
	create := conversation.Create{
		FriendlyName: v.str("FriendlyName"), UniqueName: v.str("UniqueName"), Attributes: v.str("Attributes"),
		MessagingService: v.str("MessagingServiceSid"), State: v.str("State"),
		Email:       events.Email{Address: v.str("Bindings.Email.Address"), Name: v.str("Bindings.Email.Name")},
		DateCreated: v.date("DateCreated"), DateUpdated: v.date("DateUpdated"),
	}
	if v.text("Timers.Inactive") != nil || v.text("Timers.Closed") != nil {
		create.Timers = &events.Timers{Inactive: v.str("Timers.Inactive"), Closed: v.str("Timers.Closed")}
	}
	return create
}

func updateConversation(c *call) error {
	v := c.values
	update := conversation.Update{
		FriendlyName: v.text("FriendlyName"), UniqueName: v.text("UniqueName"), Attributes: v.text("Attributes"),
		MessagingService: v.text("MessagingServiceSid"), State: v.text("State"),
		DateCreated: v.date("DateCreated"), DateUpdated: v.date("DateUpdated"),
	}
	if v.text("Timers.Inactive") != nil || v.text("Timers.Closed") != nil {
		update.Timers = &conversation.TimersPatch{Inactive: v.text("Timers.Inactive"), Closed: v.text("Timers.Closed")}
	}
	if v.text("Bindings.Email.Address") != nil || v.text("Bindings.Email.Name") != nil {
		update.Email = &events.Email{Address: v.str("Bindings.Email.Address"), Name: v.str("Bindings.Email.Name")}
	}
	return c.changeIn("Sid", update, func(sid string, _ engine.Outcome) error { return c.showConversation(sid) })
}

func deleteConversation(c *call) error { return c.removeIn("Sid", conversation.Remove{}) }

// newParticipant is one Participant parameter of createWithParticipants: the
// parameters of a participant, in snake case.
type newParticipant struct {
	Identity         string     `json:"identity"`
	MessagingBinding newBinding `json:"messaging_binding"`
	Attributes       string     `json:"attributes"`
	RoleSid          string     `json:"role_sid"`
	DateCreated      time.Time  `json:"date_created"`
	DateUpdated      time.Time  `json:"date_updated"`
}

type newBinding struct {
	Address          string `json:"address"`
	ProxyAddress     string `json:"proxy_address"`
	ProjectedAddress string `json:"projected_address"`
	Level            string `json:"level"`
	Name             string `json:"name"`
}

func createConversationWithParticipants(c *call) error {
	create := conversation.CreateWithParticipants{Conversation: c.newConversation()}
	for _, t := range c.values.list("Participant") {
		p, err := readParticipant(t)
		if err != nil {
			return err
		}
		create.Participants = append(create.Participants, p.command())
	}
	return c.make(create, func(sid string) error {
		row, err := c.Models.Conversation(c.r.Context(), c.place.Service, sid)
		if err := c.found(err, row.AccountSid, row.ChatServiceSid); err != nil {
			return err
		}
		body := c.conversationBody(row)
		body.Links.Export = ""
		c.revised(row.LastRevision)
		return c.answer(body)
	})
}

// readParticipant reads a Participant parameter, and says which of its members is wrong.
func readParticipant(text string) (p newParticipant, err error) {
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, invalidParameter(50424, "Participant", "Participant is not a JSON object of a participant's parameters")
	}
	if f := engine.AsFailure(engine.CheckJSON([]byte(text), &p)); f != nil {
		return p, invalidParameter(cmp.Or(f.Twilio, 50424), "Participant", "Participant: "+f.Message)
	}
	return p, nil
}

func (p newParticipant) command() conversation.AddParticipant {
	return conversation.AddParticipant{
		Identity: p.Identity, Address: p.MessagingBinding.Address, ProxyAddress: p.MessagingBinding.ProxyAddress,
		ProjectedAddress: p.MessagingBinding.ProjectedAddress, Level: p.MessagingBinding.Level, Name: p.MessagingBinding.Name,
		Attributes: p.Attributes, Role: p.RoleSid, DateCreated: p.DateCreated, DateUpdated: p.DateUpdated,
	}
}
