package rest

import (
	"net/url"
	"strings"
	"time"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/role"
	"github.com/parley-engine/parley/domain/user"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
)

// userBody is a user (reference 1.9.18). Nobody is known to be online or
// reachable: that takes a connection or a push registration.
type userBody struct {
	Sid            string    `json:"sid"`
	AccountSid     string    `json:"account_sid"`
	ChatServiceSid string    `json:"chat_service_sid"`
	RoleSid        *string   `json:"role_sid"`
	Identity       string    `json:"identity"`
	FriendlyName   *string   `json:"friendly_name"`
	Attributes     string    `json:"attributes"`
	IsOnline       *bool     `json:"is_online"`
	IsNotifiable   *bool     `json:"is_notifiable"`
	DateCreated    string    `json:"date_created" format:"date-time"`
	DateUpdated    string    `json:"date_updated" format:"date-time"`
	URL            string    `json:"url"`
	Links          userLinks `json:"links"`
}

type userLinks struct {
	UserConversations string `json:"user_conversations"`
}

func (c *call) userBody(row projections.User) userBody {
	url := c.base() + "/Users/" + row.Sid
	return userBody{
		Sid: row.Sid, AccountSid: row.AccountSid, ChatServiceSid: row.ChatServiceSid, RoleSid: maybe(row.RoleSid), Identity: row.Identity,
		FriendlyName: maybe(row.FriendlyName), Attributes: row.Attributes, DateCreated: stamp(row.DateCreated), DateUpdated: stamp(row.DateUpdated),
		URL: url, Links: userLinks{UserConversations: url + "/Conversations"},
	}
}

// showUser answers with a user; whether he can be reached is told of single users
// only, and only where the service wants to know (reference 6.1).
func (c *call) showUser(sid string) error {
	row, err := c.Models.User(c.r.Context(), c.place.Service, sid)
	if err := c.found(err, row.AccountSid, row.ChatServiceSid); err != nil {
		return err
	}
	body := c.userBody(row)
	if body.IsNotifiable, err = c.notifiable(row); err != nil {
		return err
	}
	c.revised(row.LastRevision)
	return c.answer(body)
}

// notifiable is null while the service does not want to know or no device ever
// registered.
func (c *call) notifiable(row projections.User) (*bool, error) {
	service, err := c.Models.Service(c.r.Context(), row.ChatServiceSid)
	if err != nil || !service.ReachabilityEnabled {
		return nil, c.found(err, c.place.Account, "")
	}
	filter := projections.PushBindingFilter{Service: row.ChatServiceSid, Identities: []string{row.Identity}}
	devices, err := c.Models.PushBindings(c.r.Context(), filter, projections.Page{Limit: 1})
	if err != nil || len(devices.Items) == 0 {
		return nil, err
	}
	yes := true
	return &yes, nil
}

func fetchUser(c *call) error {
	sid, err := c.user("Sid")
	if err != nil {
		return err
	}
	// Devices and the service's settings are in it, and a user may have been made
	// along with a participant.
	if err := c.fresh(sid, c.place.Service); err != nil {
		return err
	}
	return c.showUser(sid)
}

// user returns the SID behind the path's user.
func (c *call) user(name string) (string, error) {
	return c.Engine.UserSid(c.r.Context(), c.place, c.r.PathValue(name))
}

func (c *call) users(p projections.Page) (projections.List[projections.User], error) {
	return c.Models.Users(c.r.Context(), c.place.Service, p)
}

func createUser(c *call) error {
	v := c.values
	return c.make(user.Create{
		Identity: v.str("Identity"), FriendlyName: v.str("FriendlyName"), Attributes: v.str("Attributes"), Role: v.str("RoleSid"),
	}, c.showUser)
}

func updateUser(c *call) error {
	sid, err := c.user("Sid")
	if err != nil {
		return err
	}
	v := c.values
	return c.change(sid, user.Update{FriendlyName: v.text("FriendlyName"), Attributes: v.text("Attributes"), Role: v.text("RoleSid")}, c.showUser)
}

func deleteUser(c *call) error {
	sid, err := c.user("Sid")
	if err != nil {
		return err
	}
	return c.remove(sid, user.Remove{})
}

// userConversationBody is a conversation as one of its users sees it (reference
// 1.9.19).
type userConversationBody struct {
	AccountSid           string                       `json:"account_sid"`
	ChatServiceSid       string                       `json:"chat_service_sid"`
	ConversationSid      string                       `json:"conversation_sid"`
	UnreadMessagesCount  *int64                       `json:"unread_messages_count"`
	LastReadMessageIndex *int64                       `json:"last_read_message_index"`
	ParticipantSid       string                       `json:"participant_sid"`
	UserSid              string                       `json:"user_sid"`
	FriendlyName         *string                      `json:"friendly_name"`
	UniqueName           *string                      `json:"unique_name"`
	Attributes           string                       `json:"attributes"`
	ConversationState    string                       `json:"conversation_state" values:"active|inactive|closed"`
	Timers               timersBody                   `json:"timers"`
	CreatedBy            string                       `json:"created_by"`
	NotificationLevel    string                       `json:"notification_level" values:"default|muted"`
	DateCreated          string                       `json:"date_created" format:"date-time"`
	DateUpdated          string                       `json:"date_updated" format:"date-time"`
	LastActivity         string                       `json:"last_activity" format:"date-time"`
	LastMessage          *messageBody                 `json:"last_message"`
	URL                  string                       `json:"url"`
	Links                participantConversationLinks `json:"links"`
}

func (c *call) userConversationBody(row projections.UserConversation) userConversationBody {
	in, p := row.Conversation, row.Participant
	conversation := c.base() + "/Conversations/" + in.Sid
	var last *messageBody
	if row.LastMessage != nil {
		body := c.messageBody(*row.LastMessage)
		last = &body
	}
	return userConversationBody{
		LastActivity: stamp(in.LastActivityAt), LastMessage: last,
		AccountSid: in.AccountSid, ChatServiceSid: in.ChatServiceSid, ConversationSid: in.Sid,
		UnreadMessagesCount: row.UnreadMessagesCount, LastReadMessageIndex: p.LastReadMessageIndex,
		ParticipantSid: p.Sid, UserSid: row.UserSid, FriendlyName: maybe(in.FriendlyName), UniqueName: maybe(in.UniqueName),
		Attributes: in.Attributes, ConversationState: in.State, Timers: timersOf(in), CreatedBy: in.CreatedBy,
		NotificationLevel: p.NotificationLevel, DateCreated: stamp(in.DateCreated), DateUpdated: stamp(in.DateUpdated),
		URL:   c.base() + "/Users/" + url.PathEscape(row.UserSid) + "/Conversations/" + in.Sid,
		Links: participantConversationLinks{Participant: conversation + "/Participants/" + p.Sid, Conversation: conversation},
	}
}

// member returns SID and identity of the path's user; users are let at their own
// conversations only.
func (c *call) member() (sid, identity string, err error) {
	if sid, err = c.user("UserSid"); err != nil {
		return "", "", err
	}
	if err := c.fresh(sid, c.place.Service); err != nil {
		return "", "", err
	}
	row, err := c.Models.User(c.r.Context(), c.place.Service, sid)
	if err := c.found(err, row.AccountSid, row.ChatServiceSid); err != nil {
		return "", "", err
	}
	if c.caller.identity != "" && c.caller.identity != row.Identity {
		return "", "", forbidden("A user can see his own conversations only")
	}
	return sid, row.Identity, nil
}

func listUserConversations(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	sid, _, err := c.member()
	if err != nil {
		return err
	}
	if err := c.fresh(c.place.Service); err != nil {
		return err
	}
	list, err := c.Models.UserConversations(c.r.Context(), c.place.Service, sid, c.values.str("Order") != "", p.Page)
	if err != nil {
		return err
	}
	return answerList(c, p, list, (*call).userConversationBody)
}

func (c *call) showUserConversation(sid, conversation string) error {
	row, err := c.Models.UserConversation(c.r.Context(), c.place.Service, sid, conversation)
	if err := c.found(err, row.Conversation.AccountSid, row.Conversation.ChatServiceSid); err != nil {
		return err
	}
	c.revised(row.Conversation.LastRevision)
	return c.answer(c.userConversationBody(row))
}

func fetchUserConversation(c *call) error {
	sid, _, err := c.member()
	if err != nil {
		return err
	}
	conversation, err := c.read("ConversationSid")
	if err != nil {
		return err
	}
	return c.showUserConversation(sid, conversation)
}

func updateUserConversation(c *call) error {
	sid, identity, err := c.member()
	if err != nil {
		return err
	}
	v := c.values
	update := conversation.UpdateUserConversation{
		Participant: identity, NotificationLevel: v.text("NotificationLevel"),
		LastReadIndex: v.integer("LastReadMessageIndex"), LastReadTimestamp: v.date("LastReadTimestamp"),
	}
	if t := v.text("LastReadMessageIndex"); t != nil && none(*t) {
		update.ClearLastRead, update.LastReadTimestamp = true, time.Time{}
	}
	return c.changeIn("ConversationSid", update, func(in string, _ engine.Outcome) error { return c.showUserConversation(sid, in) })
}

func deleteUserConversation(c *call) error {
	_, identity, err := c.member()
	if err != nil {
		return err
	}
	return c.removeIn("ConversationSid", conversation.RemoveParticipant{Participant: identity})
}

// roleBody is a role (reference 1.9.17).
type roleBody struct {
	Sid            string   `json:"sid"`
	AccountSid     string   `json:"account_sid"`
	ChatServiceSid string   `json:"chat_service_sid"`
	FriendlyName   string   `json:"friendly_name"`
	Type           string   `json:"type" values:"conversation|service"`
	Permissions    []string `json:"permissions"`
	DateCreated    string   `json:"date_created" format:"date-time"`
	DateUpdated    string   `json:"date_updated" format:"date-time"`
	URL            string   `json:"url"`
}

func (c *call) roleBody(row projections.Role) roleBody {
	return roleBody{
		Sid: row.Sid, AccountSid: row.AccountSid, ChatServiceSid: row.ChatServiceSid, FriendlyName: row.FriendlyName, Type: row.Type,
		Permissions: row.Permissions, DateCreated: stamp(row.DateCreated), DateUpdated: stamp(row.DateUpdated), URL: c.base() + "/Roles/" + row.Sid,
	}
}

func (c *call) showRole(sid string) error {
	row, err := c.Models.Role(c.r.Context(), sid)
	if err := c.found(err, row.AccountSid, row.ChatServiceSid); err != nil {
		return err
	}
	c.revised(row.LastRevision)
	return c.answer(c.roleBody(row))
}

func fetchRole(c *call) error {
	sid := c.r.PathValue("Sid")
	if err := c.fresh(sid); err != nil {
		return err
	}
	return c.showRole(sid)
}

func (c *call) roles(p projections.Page) (projections.List[projections.Role], error) {
	return c.Models.Roles(c.r.Context(), c.place.Service, p)
}

func createRole(c *call) error {
	v := c.values
	return c.make(role.Create{FriendlyName: v.str("FriendlyName"), Type: strings.ToLower(v.str("Type")), Permissions: v.list("Permission")}, c.showRole)
}

func updateRole(c *call) error {
	return c.change(c.r.PathValue("Sid"), role.ReplacePermissions{Permissions: c.values.list("Permission")}, c.showRole)
}

func deleteRole(c *call) error { return c.remove(c.r.PathValue("Sid"), role.Remove{}) }
