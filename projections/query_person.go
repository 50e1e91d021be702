package projections

import (
	"context"
	"errors"

	"zombiezen.com/go/sqlite"
)

// ParticipantConversationsByIdentity lists where a chat participant takes part,
// by conversation SID; closed conversations are included (reference 1.9.20).
func (q *Queries) ParticipantConversationsByIdentity(ctx context.Context, service, identity string, page Page) (List[ParticipantConversation], error) {
	return q.participantConversations(ctx, "identity", service, identity, page)
}

// ParticipantConversationsByAddress lists where an address takes part, by
// conversation SID; closed conversations are included.
func (q *Queries) ParticipantConversationsByAddress(ctx context.Context, service, address string, page Page) (List[ParticipantConversation], error) {
	return q.participantConversations(ctx, "address", service, address, page)
}

func (q *Queries) participantConversations(ctx context.Context, column, service, value string, page Page) (list List[ParticipantConversation], err error) {
	err = q.view(ctx, func(conn *sqlite.Conn) error {
		list, err = placesOf(conn, column, service, value, page)
		return err
	})
	return list, err
}

func placesOf(conn *sqlite.Conn, column, service, value string, page Page) (List[ParticipantConversation], error) {
	return placesIn(conn, participationsOf(column, service, value), page)
}

// placesIn reads a page of participants and then their conversations.
func placesIn(conn *sqlite.Conn, l listing[Participant], page Page) (list List[ParticipantConversation], err error) {
	found, err := l.page(conn, page)
	if err != nil {
		return list, err
	}
	list.First, list.Last, list.More = found.First, found.Last, found.More
	for _, p := range found.Items {
		c, err := conversationByID(conn, p)
		if err != nil {
			return list, err
		}
		list.Items = append(list.Items, ParticipantConversation{Participant: p, Conversation: c})
	}
	return list, nil
}

func participationsOf(column, service, value string) listing[Participant] {
	return listing[Participant]{
		columns: participantTable.columns,
		from:    "FROM participant WHERE " + column + " = ? AND chat_service_sid = ?", args: []any{value, service},
		order: []string{"conversation_sid", "id"},
		key:   func(p Participant) Key { return byText(p.ConversationSid, p.id) }, bind: bindTextID,
	}
}

func conversationByID(conn *sqlite.Conn, p Participant) (Conversation, error) {
	return one(conn, conversationTable.columns, &NotFoundError{Kind: "conversation", Name: p.ConversationSid},
		"FROM conversation WHERE id = ?", p.conversation)
}

// UserConversations lists the conversations of a user, given by SID or
// identity: by conversation SID, or those first in which something happened last. Of the
// latter a page begins behind an instant, so what becomes active while pages are read comes
// twice in none of them; it is at the top when they are read again.
func (q *Queries) UserConversations(ctx context.Context, service, ref string, lastActiveFirst bool, page Page) (list List[UserConversation], err error) {
	err = q.view(ctx, func(conn *sqlite.Conn) error {
		u, err := user(conn, service, ref)
		if err != nil {
			return err
		}
		places, err := placesOfUser(conn, service, u.Identity, lastActiveFirst, page)
		if err != nil {
			return err
		}
		list.First, list.Last, list.More = places.First, places.Last, places.More
		for _, place := range places.Items {
			seen, err := seenBy(conn, u, place)
			if err != nil {
				return err
			}
			list.Items = append(list.Items, seen)
		}
		return nil
	})
	return list, err
}

func placesOfUser(conn *sqlite.Conn, service, identity string, lastActiveFirst bool, page Page) (List[ParticipantConversation], error) {
	if !lastActiveFirst {
		return placesOf(conn, "identity", service, identity, page)
	}
	list, err := placesIn(conn, activityOf(service, identity), page)
	if n := len(list.Items); n > 0 && err == nil {
		list.First, list.Last = byActivity(list.Items[0]), byActivity(list.Items[n-1])
	}
	return list, err
}

// activityOf sorts all conversations of a person for each page: a column to read them by
// would have to be written for every participant with every message. How many there can be
// is bounded by the open conversations of an identity and its closed ones.
func activityOf(service, identity string) listing[Participant] {
	return listing[Participant]{
		columns: participantTable.columns,
		from: `FROM (SELECT participant.*, conversation.last_activity_at AS activity FROM participant
			JOIN conversation ON conversation.id = participant.conversation
			WHERE participant.identity = ? AND participant.chat_service_sid = ?) WHERE true`,
		args:  []any{identity, service},
		order: []string{"activity", "conversation"}, desc: true,
		key:  func(p Participant) Key { return byID(p.conversation) }, // with the conversation's instant it is byActivity
		bind: bindNumberID,
	}
}

func byActivity(p ParticipantConversation) Key {
	return byNumber(p.Conversation.LastActivityAt.UnixMilli(), p.Conversation.id)
}

// UserConversation returns one conversation as the user sees it.
func (q *Queries) UserConversation(ctx context.Context, service, userRef, conversationRef string) (seen UserConversation, err error) {
	err = q.inConversation(ctx, service, conversationRef, func(conn *sqlite.Conn, c Conversation) error {
		u, err := user(conn, service, userRef)
		if err != nil {
			return err
		}
		p, err := one(conn, participantTable.columns, &NotFoundError{Kind: "user conversation", Name: conversationRef},
			"FROM participant WHERE identity = ? AND chat_service_sid = ? AND conversation_sid = ?",
			u.Identity, c.ChatServiceSid, c.Sid)
		if err != nil {
			return err
		}
		seen, err = seenBy(conn, u, ParticipantConversation{Participant: p, Conversation: c})
		return err
	})
	return seen, err
}

// seenBy finds the last message and counts what is unread: messages behind the horizon,
// never a difference of indexes (reference section 5).
func seenBy(conn *sqlite.Conn, u User, place ParticipantConversation) (UserConversation, error) {
	seen := UserConversation{Participant: place.Participant, Conversation: place.Conversation, UserSid: u.Sid}
	last, err := messagesOf(place.Conversation, true).page(conn, Page{Limit: 1})
	if err != nil {
		return seen, err
	}
	if len(last.Items) > 0 {
		seen.LastMessage = &last.Items[0]
		if err := seen.LastMessage.within(conn, place.Conversation); err != nil {
			return seen, err
		}
	}
	horizon := place.Participant.LastReadMessageIndex
	if horizon == nil {
		return seen, nil
	}
	unread, err := countRows(conn, `SELECT count(*) FROM (
		SELECT 1 FROM message WHERE conversation = ? AND message_index > ? LIMIT ?)`,
		place.Conversation.id, *horizon, MaxUnread)
	seen.UnreadMessagesCount = &unread
	return seen, err
}

// user finds a user of a service by SID or identity.
func user(conn *sqlite.Conn, service, ref string) (User, error) {
	missing := &NotFoundError{Kind: "user", Name: ref}
	u, err := one(conn, userTable.columns, missing, "FROM user WHERE sid = ?", ref)
	if err == nil && (service == "" || u.ChatServiceSid == service) {
		return u, nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) || service == "" {
		return User{}, err
	}
	return one(conn, userTable.columns, missing,
		"FROM user WHERE chat_service_sid = ? AND identity = ?", service, ref)
}

// User returns a user by SID or identity; with an empty service only a SID is
// understood.
func (q *Queries) User(ctx context.Context, service, ref string) (u User, err error) {
	err = q.view(ctx, func(conn *sqlite.Conn) error {
		u, err = user(conn, service, ref)
		return err
	})
	return u, err
}

// Users lists a service's users in the order they were created.
func (q *Queries) Users(ctx context.Context, service string, page Page) (List[User], error) {
	return pageOf(ctx, q, usersOf(service), page)
}

func usersOf(service string) listing[User] {
	return listing[User]{
		columns: userTable.columns, from: "FROM user WHERE chat_service_sid = ?", args: []any{service},
		order: []string{"id"}, key: func(u User) Key { return byID(u.id) }, bind: bindID,
	}
}
