package projections

import (
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Violation is something that no history can lead to.
type Violation struct {
	Invariant string `json:"invariant"`
	Rows      int64  `json:"rows"`    // that violate it
	Example   string `json:"example"` // the SID of one
}

func (v Violation) String() string {
	return fmt.Sprintf("%s: not so for %d rows, as %s", v.Invariant, v.Rows, v.Example)
}

// invariants hold in every generation, at every position. The query has a row for each
// violation: the SID of what violates it.
var invariants = []struct{ name, query string }{
	{"a participant is of a conversation",
		"SELECT sid FROM participant WHERE conversation NOT IN (SELECT id FROM conversation)"},
	{"a message is of a conversation",
		"SELECT sid FROM message WHERE conversation NOT IN (SELECT id FROM conversation)"},
	{"a webhook is of a conversation",
		"SELECT sid FROM webhook WHERE conversation NOT IN (SELECT id FROM conversation)"},
	{"a receipt is of a message",
		"SELECT sid FROM receipt WHERE message NOT IN (SELECT id FROM message)"},
	{"no message has an index above the conversation's last",
		"SELECT m.sid FROM message m JOIN conversation c ON c.id = m.conversation WHERE m.message_index > c.last_message_index"},
	{"a conversation is active, inactive or closed",
		"SELECT sid FROM conversation WHERE state NOT IN ('active', 'inactive', 'closed')"},
	{"a conversation has the instant it became inactive while it is inactive, and only then",
		"SELECT sid FROM conversation WHERE (state = 'inactive') <> (entered_inactive_at IS NOT NULL)"},
	{"no row was made by an event that is not there yet",
		"SELECT sid FROM conversation WHERE id > (SELECT events FROM progress)"},
}

// violations checks them all.
func violations(conn *sqlite.Conn) (found []Violation, err error) {
	for _, i := range invariants {
		v := Violation{Invariant: i.name}
		err := sqlitex.ExecuteTransient(conn, "SELECT count(*), min(sid) FROM ("+i.query+")", &sqlitex.ExecOptions{
			ResultFunc: func(stmt *sqlite.Stmt) error {
				v.Rows, v.Example = stmt.ColumnInt64(0), stmt.ColumnText(1)
				return nil
			},
		})
		if err != nil {
			return nil, fmt.Errorf("check that %s: %w", i.name, err)
		}
		if v.Rows > 0 {
			found = append(found, v)
		}
	}
	return found, nil
}
