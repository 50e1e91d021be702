package projections

import (
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
)

// Name and version of the one projection there is: queries join all of its
// tables, so they live in one file. Who changes a table or what an event does
// to it raises the version; the next start then builds a new generation.
const (
	Name    = "main"
	Version = 3
)

// fold turns events into rows. It belongs to one goroutine and one connection.
// After an error the rows in memory are not to be trusted; the fold is thrown
// away.
type fold struct {
	conn  *sqlite.Conn
	bulk  bool
	event ordinal // number of the event being applied

	accounts          *table[string, Account]
	messagingServices *table[string, MessagingService]
	services          *table[string, Service]
	users             *table[string, User]
	roles             *table[string, Role]
	conversations     *table[string, Conversation]
	participants      *table[child, Participant]
	messages          *table[child, Message]
	receipts          *table[child, Receipt]
	webhooks          *table[child, Webhook]
	apiKeys           *table[string, APIKey]
	credentials       *table[string, Credential]
	pushBindings      *table[string, PushBinding]
	addresses         *table[string, AddressConfiguration]
	media             *table[string, Media]

	removedMessages      []int64 // while filling: rows whose children go at the end
	removedConversations []int64

	swept func() // is told that rows were deleted by their parents; nil for nobody
}

// observe has changed told of each row that an event changes, and swept of rows that go
// with their parents.
func (f *fold) observe(changed func(table string, id int64), swept func()) {
	f.swept = swept
	for _, t := range f.tables() {
		t.observe(changed)
	}
}

// ordinal counts the events of the log from 1. It is the id of the row that an
// event makes, so ids rise with the log and do not depend on how it was read.
type ordinal = int64

// rowTable is what the fold does to every table.
type rowTable interface {
	flush() error
	makeKey() error
	makeIndexes() error
	resize(limit int)
	observe(changed func(table string, id int64))
}

func newFold(conn *sqlite.Conn, limit int, bulk bool) *fold {
	return &fold{
		conn: conn, bulk: bulk,
		accounts:          newTable(accountTable, conn, limit, bulk),
		messagingServices: newTable(messagingServiceTable, conn, limit, bulk),
		services:          newTable(serviceTable, conn, limit, bulk),
		users:             newTable(userTable, conn, limit, bulk),
		roles:             newTable(roleTable, conn, limit, bulk),
		conversations:     newTable(conversationTable, conn, limit, bulk),
		participants:      newTable(participantTable, conn, limit, bulk),
		messages:          newTable(messageTable, conn, limit, bulk),
		receipts:          newTable(receiptTable, conn, limit, bulk),
		webhooks:          newTable(webhookTable, conn, limit, bulk),
		apiKeys:           newTable(apiKeyTable, conn, limit, bulk),
		credentials:       newTable(credentialTable, conn, limit, bulk),
		pushBindings:      newTable(pushBindingTable, conn, limit, bulk),
		addresses:         newTable(addressConfigurationTable, conn, limit, bulk),
		media:             newTable(mediaTable, conn, limit, bulk),
	}
}

func (f *fold) tables() []rowTable {
	return []rowTable{f.accounts, f.messagingServices, f.services, f.users, f.roles,
		f.conversations, f.participants, f.messages, f.receipts, f.webhooks,
		f.apiKeys, f.credentials, f.pushBindings, f.addresses, f.media}
}

// tableSpecs lists all tables.
var tableSpecs = []interface {
	create(conn *sqlite.Conn) error
	table() string
}{
	accountTable, messagingServiceTable, serviceTable, userTable, roleTable,
	conversationTable, participantTable, messageTable, receiptTable, webhookTable,
	apiKeyTable, credentialTable, pushBindingTable, addressConfigurationTable, mediaTable,
}

// flush writes every changed row.
func (f *fold) flush() error {
	for _, t := range f.tables() {
		if err := t.flush(); err != nil {
			return err
		}
	}
	return nil
}

// goLive ends the filling of a new generation: what was put off is deleted and
// all indexes are made.
func (f *fold) goLive(limit int) error {
	if err := f.flush(); err != nil {
		return err
	}
	if err := f.deletePutOff(); err != nil {
		return err
	}
	f.bulk = false
	for _, t := range f.tables() {
		t.resize(limit)
		if err := t.makeIndexes(); err != nil {
			return err
		}
	}
	return nil
}

// makeKeys makes the index of every table's key.
func (f *fold) makeKeys() error {
	for _, t := range f.tables() {
		if err := t.makeKey(); err != nil {
			return err
		}
	}
	return nil
}

// apply folds one event. Every type of the vocabulary has its case; reservations
// are the engine's business and leave no row.
func (f *fold) apply(n ordinal, r *events.Recorded, e events.Event) error {
	f.event = n
	_, id, ok := events.SplitStream(r.Stream)
	if !ok {
		return fmt.Errorf("stream %q has no category", r.Stream)
	}
	switch e := e.(type) {
	case events.ReservationClaimed, events.ReservationLost, events.ForeignRecorded:
		return nil
	case events.ConversationCreated:
		return f.conversationCreated(r, id, e)
	case events.AccountCreated:
		return f.accountCreated(r, id, e)
	case events.ServiceCreated:
		return f.serviceCreated(r, id, e)
	case events.UserCreated:
		return f.userCreated(r, id, e)
	case events.RoleCreated:
		return f.roleCreated(r, id, e)
	case events.APIKeyCreated:
		return f.apiKeyCreated(r, id, e)
	case events.CredentialCreated:
		return f.credentialCreated(r, id, e)
	case events.BindingCreated:
		return f.bindingCreated(r, id, e)
	case events.AddressConfigurationCreated:
		return f.addressCreated(r, id, e)
	case events.MediaCreated:
		return f.mediaCreated(r, id, e)
	default:
		return f.change(r, id, e)
	}
}

// change folds an event about something that exists.
func (f *fold) change(r *events.Recorded, id string, e events.Event) error {
	switch e.(type) {
	case events.AccountConfigured, events.MessagingServiceAdded, events.AccountAuthTokenSet, events.AccountWebhooksConfigured:
		return f.applyAccount(r, id, e)
	case events.LogLossAccepted:
		return f.lossAccepted(r, id)
	case events.ServiceConfigured, events.ServiceWebhooksConfigured, events.ServiceNotificationsConfigured, events.ServiceRemoved:
		return f.applyService(r, id, e)
	case events.UserFriendlyNameChanged, events.UserAttributesChanged, events.UserRoleChanged, events.UserRemoved:
		return f.applyUser(r, id, e)
	case events.RolePermissionsReplaced, events.RoleRemoved:
		return f.applyRole(r, id, e)
	case events.APIKeySecretReplaced, events.APIKeyRevoked:
		return f.applyAPIKey(r, id, e)
	case events.CredentialUpdated, events.CredentialRemoved:
		return f.applyCredential(r, id, e)
	case events.BindingUpdated, events.BindingRemoved:
		return f.applyBinding(r, id, e)
	case events.AddressConfigurationUpdated, events.AddressConfigurationRemoved:
		return f.applyAddress(r, id, e)
	case events.MediaRemoved:
		return f.mediaRemoved(id)
	default:
		return f.applyConversation(r, id, e)
	}
}

// MissingRowError says that an event speaks of something no earlier event made:
// the log or the read model is damaged.
type MissingRowError struct {
	Table string
	Sid   string
}

func (e *MissingRowError) Error() string {
	return fmt.Sprintf("the event is about %s %s, which no row exists for", e.Table, e.Sid)
}

// find is get for rows that must be there.
func find[K comparable, R any](t *table[K, R], k K, sid string) (*entry[R], error) {
	e, err := t.get(k)
	if err == nil && e == nil {
		return nil, &MissingRowError{Table: t.spec.name, Sid: sid}
	}
	return e, err
}

// deleteWhere removes rows of a table by a column that an index begins with.
func (f *fold) deleteWhere(table, where string, id int64) error {
	if f.swept != nil {
		f.swept()
	}
	sql := "DELETE FROM " + table + " WHERE " + where
	return sqlitex.Execute(f.conn, sql, &sqlitex.ExecOptions{Args: []any{id}})
}

// removeMessageRows deletes what belongs to a message. Rows in memory are
// written first, lest they come back; cached ones are never asked for again.
func (f *fold) removeMessageRows(message int64) error {
	if f.bulk {
		f.removedMessages = append(f.removedMessages, message)
		return nil
	}
	if err := f.receipts.flush(); err != nil {
		return err
	}
	return f.deleteWhere("receipt", "message = ?", message)
}

// removeConversationRows deletes what belongs to a conversation.
func (f *fold) removeConversationRows(conversation int64) error {
	if f.bulk {
		f.removedConversations = append(f.removedConversations, conversation)
		return nil
	}
	for _, t := range []rowTable{f.participants, f.messages, f.receipts, f.webhooks} {
		if err := t.flush(); err != nil {
			return err
		}
	}
	if err := f.deleteWhere("receipt", "message IN (SELECT id FROM message WHERE conversation = ?)", conversation); err != nil {
		return err
	}
	for _, table := range []string{"participant", "message", "webhook"} {
		if err := f.deleteWhere(table, "conversation = ?", conversation); err != nil {
			return err
		}
	}
	return nil
}

// deletePutOff deletes the children of everything that was removed while the
// generation was filled, in one pass over each table: there are no indexes yet.
func (f *fold) deletePutOff() error {
	if len(f.removedMessages)+len(f.removedConversations) == 0 {
		return nil
	}
	err := sqlitex.ExecuteScript(f.conn, `
		CREATE TEMP TABLE gone_conversation (id INTEGER PRIMARY KEY);
		CREATE TEMP TABLE gone_message (id INTEGER PRIMARY KEY);`, nil)
	if err != nil {
		return err
	}
	if err := f.insertIDs("gone_conversation", f.removedConversations); err != nil {
		return err
	}
	if err := f.insertIDs("gone_message", f.removedMessages); err != nil {
		return err
	}
	f.removedConversations, f.removedMessages = nil, nil
	return sqlitex.ExecuteScript(f.conn, `
		INSERT OR IGNORE INTO gone_message
		  SELECT id FROM message WHERE conversation IN (SELECT id FROM gone_conversation);
		DELETE FROM receipt WHERE message IN (SELECT id FROM gone_message);
		DELETE FROM message WHERE conversation IN (SELECT id FROM gone_conversation);
		DELETE FROM participant WHERE conversation IN (SELECT id FROM gone_conversation);
		DELETE FROM webhook WHERE conversation IN (SELECT id FROM gone_conversation);
		DROP TABLE gone_conversation;
		DROP TABLE gone_message;`, nil)
}

func (f *fold) insertIDs(table string, ids []int64) error {
	for _, id := range ids {
		err := sqlitex.Execute(f.conn, "INSERT OR IGNORE INTO "+table+" VALUES (?)", &sqlitex.ExecOptions{Args: []any{id}})
		if err != nil {
			return err
		}
	}
	return nil
}

// attributes is the JSON text that a resource without attributes shows.
func attributes(text string) string {
	if text == "" {
		return "{}"
	}
	return text
}

// stored is an instant as a column keeps it, so that a row reads the same from
// memory and from the table.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
