package projections

import (
	"context"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
)

// Messages lists a conversation's messages by index, upwards or downwards.
func (q *Queries) Messages(ctx context.Context, service, conversation string, descending bool, page Page) (list List[Message], err error) {
	err = q.inConversation(ctx, service, conversation, func(conn *sqlite.Conn, c Conversation) error {
		list, err = messagesOf(c, descending).page(conn, page)
		for i := range list.Items {
			if err == nil {
				err = list.Items[i].within(conn, c)
			}
		}
		return err
	})
	return list, err
}

func messagesOf(c Conversation, descending bool) listing[Message] {
	return listing[Message]{
		columns: messageTable.columns, from: "FROM message WHERE conversation = ?", args: []any{c.id},
		order: []string{"message_index"}, desc: descending,
		key: func(m Message) Key { return byNumber(m.Index, m.id) }, bind: bindNumber,
	}
}

// Message returns a message by SID.
func (q *Queries) Message(ctx context.Context, service, conversation, sid string) (m Message, err error) {
	err = q.inConversation(ctx, service, conversation, func(conn *sqlite.Conn, c Conversation) error {
		if m, err = message(conn, c, sid); err != nil {
			return err
		}
		return m.within(conn, c)
	})
	return m, err
}

func message(conn *sqlite.Conn, c Conversation, sid string) (Message, error) {
	return one(conn, messageTable.columns, &NotFoundError{Kind: "message", Name: sid},
		"FROM message WHERE conversation = ? AND sid = ?", c.id, sid)
}

// within adds what is not in the row: the parents and the summary of receipts.
func (m *Message) within(conn *sqlite.Conn, c Conversation) error {
	m.AccountSid, m.ChatServiceSid, m.ConversationSid, m.Revision = c.AccountSid, c.ChatServiceSid, c.Sid, c.LastRevision
	if m.recipients == 0 {
		return nil
	}
	counts := map[string]int64{}
	err := sqlitex.Execute(conn, "SELECT status, count(*) FROM receipt WHERE message = ? GROUP BY status", &sqlitex.ExecOptions{
		Args:       []any{m.id},
		ResultFunc: func(stmt *sqlite.Stmt) error { counts[stmt.ColumnText(0)] = stmt.ColumnInt64(1); return nil },
	})
	m.Delivery = sumUp(m.recipients, counts)
	return err
}

// NoneYet is the summary of a message that was just added for so many recipients.
func NoneYet(recipients int) *Delivery {
	if recipients == 0 {
		return nil
	}
	return sumUp(int64(recipients), nil)
}

// sumUp counts cumulatively: who has read it was delivered it, and what was
// delivered or undelivered had been sent (reference 4.6).
func sumUp(total int64, counts map[string]int64) *Delivery {
	read := counts[events.DeliveryRead]
	delivered := read + counts[events.DeliveryDelivered]
	undelivered := counts[events.DeliveryUndelivered]
	sent := delivered + undelivered + counts[events.DeliverySent]
	return &Delivery{
		Total: total, Sent: share(sent, total), Delivered: share(delivered, total), Read: share(read, total),
		Failed: share(counts[events.DeliveryFailed], total), Undelivered: share(undelivered, total),
	}
}

// Receipts lists a message's delivery receipts in the order they were opened.
func (q *Queries) Receipts(ctx context.Context, service, conversation, messageSid string, page Page) (list List[Receipt], err error) {
	err = q.inConversation(ctx, service, conversation, func(conn *sqlite.Conn, c Conversation) error {
		m, err := message(conn, c, messageSid)
		if err != nil {
			return err
		}
		list, err = listing[Receipt]{
			columns: receiptTable.columns, from: "FROM receipt WHERE message = ?", args: []any{m.id},
			order: []string{"id"}, key: func(r Receipt) Key { return byID(r.id) }, bind: bindID,
		}.page(conn, page)
		for i := range list.Items {
			list.Items[i].within(c, m)
		}
		return err
	})
	return list, err
}

// Receipt returns a delivery receipt by SID.
func (q *Queries) Receipt(ctx context.Context, service, conversation, messageSid, sid string) (r Receipt, err error) {
	err = q.inConversation(ctx, service, conversation, func(conn *sqlite.Conn, c Conversation) error {
		m, err := message(conn, c, messageSid)
		if err != nil {
			return err
		}
		r, err = one(conn, receiptTable.columns, &NotFoundError{Kind: "receipt", Name: sid},
			"FROM receipt WHERE message = ? AND sid = ?", m.id, sid)
		r.within(c, m)
		return err
	})
	return r, err
}

func (r *Receipt) within(c Conversation, m Message) {
	r.AccountSid, r.ChatServiceSid, r.ConversationSid, r.MessageSid, r.Revision = c.AccountSid, c.ChatServiceSid, c.Sid, m.Sid, c.LastRevision
}
