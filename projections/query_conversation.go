package projections

import (
	"context"
	"errors"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
)

// conversation finds a conversation by SID or, within its service, by unique
// name. An empty service means any, and then only a SID is understood.
func conversation(conn *sqlite.Conn, service, ref string) (Conversation, error) {
	missing := &NotFoundError{Kind: "conversation", Name: ref}
	c, err := one(conn, conversationTable.columns, missing, "FROM conversation WHERE sid = ?", ref)
	if err == nil && (service == "" || c.ChatServiceSid == service) {
		return c, nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) || service == "" {
		return Conversation{}, err
	}
	return one(conn, conversationTable.columns, missing,
		"FROM conversation WHERE chat_service_sid = ? AND unique_name = ?", service, ref)
}

// Conversation returns a conversation by SID or unique name. Unique names live
// in a service; with an empty service only a SID is understood.
func (q *Queries) Conversation(ctx context.Context, service, ref string) (c Conversation, err error) {
	err = q.view(ctx, func(conn *sqlite.Conn) error {
		c, err = conversation(conn, service, ref)
		return err
	})
	return c, err
}

// ConversationFilter selects conversations. Service is required; the others
// select when they are set.
type ConversationFilter struct {
	Service   string
	Member    string // identity of a participant
	State     string
	From      time.Time // created at this instant or later
	To        time.Time // created at this instant or earlier
	Ascending bool      // oldest first; otherwise newest first
}

// Conversations lists by date of creation.
func (q *Queries) Conversations(ctx context.Context, filter ConversationFilter, page Page) (List[Conversation], error) {
	return pageOf(ctx, q, conversationsOf(filter), page)
}

func conversationsOf(filter ConversationFilter) listing[Conversation] {
	l := listing[Conversation]{
		columns: conversationTable.columns, from: conversationsFrom(filter), args: []any{filter.Service},
		order: []string{"date_created", "id"}, desc: !filter.Ascending,
		key:  func(c Conversation) Key { return byNumber(c.DateCreated.UnixMilli(), c.id) },
		bind: bindNumberID,
	}
	if filter.Member != "" {
		l.args = append(l.args, filter.Member)
	}
	if filter.State != "" {
		l.where("state = ?", filter.State)
	}
	if !filter.From.IsZero() {
		l.least = filter.From.UnixMilli()
	}
	if !filter.To.IsZero() {
		l.most = filter.To.UnixMilli()
	}
	return l
}

// conversationsFrom names the index, of which SQLite takes another when there
// are bounds: every conversation of the service would be looked at for those in
// the state. With an identity it begins with where that takes part, which is
// bounded, and sorts those; a participant is in its conversation's service.
func conversationsFrom(filter ConversationFilter) string {
	switch {
	case filter.Member != "":
		return `FROM conversation NOT INDEXED WHERE id IN
			(SELECT conversation FROM participant WHERE chat_service_sid = ? AND identity = ?)`
	case filter.State != "":
		return "FROM conversation INDEXED BY conversation_3 WHERE chat_service_sid = ?"
	default:
		return "FROM conversation INDEXED BY conversation_2 WHERE chat_service_sid = ?"
	}
}

func pageOf[R any](ctx context.Context, q *Queries, l listing[R], page Page) (list List[R], err error) {
	err = q.view(ctx, func(conn *sqlite.Conn) error {
		list, err = l.page(conn, page)
		return err
	})
	return list, err
}

// inConversation resolves the conversation before it runs do in the same view.
func (q *Queries) inConversation(ctx context.Context, service, ref string, do func(*sqlite.Conn, Conversation) error) error {
	return q.view(ctx, func(conn *sqlite.Conn) error {
		c, err := conversation(conn, service, ref)
		if err != nil {
			return err
		}
		return do(conn, c)
	})
}

// Participants lists a conversation's participants in the order they came.
func (q *Queries) Participants(ctx context.Context, service, conversation string, page Page) (list List[Participant], err error) {
	err = q.inConversation(ctx, service, conversation, func(conn *sqlite.Conn, c Conversation) error {
		list, err = participantsOf(c).page(conn, page)
		for i := range list.Items {
			list.Items[i].Revision = c.LastRevision
		}
		return err
	})
	return list, err
}

func participantsOf(c Conversation) listing[Participant] {
	return listing[Participant]{
		columns: participantTable.columns, from: "FROM participant WHERE conversation = ?", args: []any{c.id},
		order: []string{"id"}, key: func(p Participant) Key { return byID(p.id) }, bind: bindID,
	}
}

// Participant returns a participant by SID or identity.
func (q *Queries) Participant(ctx context.Context, service, conversation, ref string) (p Participant, err error) {
	err = q.inConversation(ctx, service, conversation, func(conn *sqlite.Conn, c Conversation) error {
		p, err = participant(conn, c, ref)
		p.Revision = c.LastRevision
		return err
	})
	return p, err
}

func participant(conn *sqlite.Conn, c Conversation, ref string) (Participant, error) {
	missing := &NotFoundError{Kind: "participant", Name: ref}
	p, err := one(conn, participantTable.columns, missing,
		"FROM participant WHERE conversation = ? AND sid = ?", c.id, ref)
	if errors.Is(err, ErrNotFound) {
		return one(conn, participantTable.columns, missing,
			"FROM participant WHERE identity = ? AND chat_service_sid = ? AND conversation_sid = ?",
			ref, c.ChatServiceSid, c.Sid)
	}
	return p, err
}

// Webhooks lists a conversation's scoped webhooks in the order they were added.
func (q *Queries) Webhooks(ctx context.Context, service, conversation string, page Page) (list List[Webhook], err error) {
	err = q.inConversation(ctx, service, conversation, func(conn *sqlite.Conn, c Conversation) error {
		list, err = listing[Webhook]{
			columns: webhookTable.columns, from: "FROM webhook WHERE conversation = ?", args: []any{c.id},
			order: []string{"id"}, key: func(w Webhook) Key { return byID(w.id) }, bind: bindID,
		}.page(conn, page)
		for i := range list.Items {
			list.Items[i].within(c)
		}
		return err
	})
	return list, err
}

// Webhook returns a scoped webhook.
func (q *Queries) Webhook(ctx context.Context, service, conversation, sid string) (w Webhook, err error) {
	err = q.inConversation(ctx, service, conversation, func(conn *sqlite.Conn, c Conversation) error {
		w, err = one(conn, webhookTable.columns, &NotFoundError{Kind: "webhook", Name: sid},
			"FROM webhook WHERE conversation = ? AND sid = ?", c.id, sid)
		w.within(c)
		return err
	})
	return w, err
}

func (w *Webhook) within(c Conversation) {
	w.AccountSid, w.ChatServiceSid, w.ConversationSid, w.Revision = c.AccountSid, c.ChatServiceSid, c.Sid, c.LastRevision
}

// OpenConversations counts the conversations of an identity that are not
// closed. Counting ends at limit.
func (q *Queries) OpenConversations(ctx context.Context, service, identity string, limit int) (n int, err error) {
	err = q.view(ctx, func(conn *sqlite.Conn) error {
		count, err := countRows(conn, `SELECT count(*) FROM (
			SELECT 1 FROM participant p JOIN conversation c ON c.id = p.conversation
			WHERE p.identity = ? AND p.chat_service_sid = ? AND c.state <> ? LIMIT ?)`,
			identity, service, events.StateClosed, limit)
		n = int(count)
		return err
	})
	return n, err
}

func countRows(conn *sqlite.Conn, sql string, args ...any) (n int64, err error) {
	err = sqlitex.Execute(conn, sql, &sqlitex.ExecOptions{
		Args:       args,
		ResultFunc: func(stmt *sqlite.Stmt) error { n = stmt.ColumnInt64(0); return nil },
	})
	return n, err
}

// DueRows streams every conversation that has a timer and is not closed, in no
// particular order, and the position of the log for which that is true. The
// sequence is used once; it holds a connection until it ends.
func (q *Queries) DueRows(ctx context.Context, yield func(Due) bool) (position events.Position, err error) {
	err = q.view(ctx, func(conn *sqlite.Conn) error {
		m, err := readMark(conn)
		if err != nil {
			return err
		}
		position = m.position
		return scanDue(conn, yield)
	})
	return position, err
}

func scanDue(conn *sqlite.Conn, yield func(Due) bool) error {
	stmt, err := conn.Prepare(`SELECT sid, account_sid, chat_service_sid, state, timer_since, inactive_after, closed_after
		FROM conversation
		WHERE state IN ('active', 'inactive') AND (inactive_after IS NOT NULL OR closed_after IS NOT NULL)`)
	if err != nil {
		return err
	}
	for {
		more, err := stmt.Step()
		if err != nil || !more || !yield(scanDueRow(stmt)) {
			return errors.Join(err, stmt.Reset())
		}
	}
}

func scanDueRow(stmt *sqlite.Stmt) Due {
	return Due{
		ConversationSid: stmt.ColumnText(0), AccountSid: stmt.ColumnText(1), ChatServiceSid: stmt.ColumnText(2),
		State: stmt.ColumnText(3), Since: columnInstant(stmt, 4),
		InactiveAfter: time.Duration(stmt.ColumnInt64(5)) * time.Millisecond,
		ClosedAfter:   time.Duration(stmt.ColumnInt64(6)) * time.Millisecond,
	}
}
