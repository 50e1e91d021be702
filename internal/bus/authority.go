package bus

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus/access"
	"github.com/parley-engine/parley/internal/bus/pubsub"
	"github.com/parley-engine/parley/internal/engine"
)

// Codes of refusals to senders who are held to an account.
const (
	CodeActor   = "actor_not_allowed"   // the token may not act as this kind of actor
	CodeCommand = "command_not_allowed" // no token of an account may send this command
)

// headerAuthority marks a stored command with what its sender is held to. Parley writes
// it; from a sender it is an unknown header.
const headerAuthority = prefixParley + "Authority"

// authorityOf returns what the sender of a command is held to, nil for nothing. The
// broker says so in the subject of a call; a stored command was marked when it came.
func authorityOf(d *pubsub.Delivery) (*access.Authority, error) {
	if d.Sequence == 0 {
		return access.FromSubject(strings.TrimPrefix(d.Subject, prefixCall))
	}
	mark := d.Header.Get(headerAuthority)
	if mark == "" {
		return nil, nil
	}
	return access.Parse(mark)
}

// confine holds a command to what its sender may do. Its id is its account's own: another
// account that knows or guesses it can neither be in its way nor hear of it. Errors are
// *engine.Failure.
func (b *Bus) confine(ctx context.Context, x *exchange) error {
	who, c := x.authority, &x.command
	if who == nil {
		return nil
	}
	if kind := cmp.Or(c.Actor.Kind, events.ActorAPI); !who.MayActAs(string(kind)) {
		return denied(CodeActor, "actor.kind", "the bus token may not act as %s, only as %s", kind, strings.Join(who.Actors, ", "))
	}
	if ofTheOperator(c.Type) {
		return denied(CodeCommand, "command", "%s is for who runs the server, not for bus tokens of an account", c.Type)
	}
	x.given, c.ID = c.ID, events.NameID("command of "+who.Account+": "+c.ID.String())
	if c.Account == "" {
		c.Account = who.Account
	}
	if c.Account == who.Account || !domain.IsSID("AC", c.Account) { // the engine refuses malformed ones
		return nil
	}
	return b.actFor(ctx, who.Account, c.Account)
}

// actFor refuses another account as REST does.
func (b *Bus) actFor(ctx context.Context, acting, account string) error {
	if b.opts.ActFor == nil {
		return &engine.Failure{Kind: string(domain.NotFound), Code: "not_found", Field: "account", Twilio: 20404, Message: "The requested account was not found"}
	}
	err := b.opts.ActFor(ctx, acting, account)
	if err == nil {
		return nil
	}
	failure := *failureOf(err)
	failure.Field = "account"
	return &failure
}

// foreign reports an aggregate that its sender may not act on. The engine will say that it
// is not there, parked or not; the command must not wait behind another account's.
func (b *Bus) foreign(ctx context.Context, x *exchange) (bool, error) {
	if x.authority == nil || b.opts.Owner == nil {
		return false, nil
	}
	owner, err := b.opts.Owner(ctx, x.Key)
	if err != nil || owner == "" || owner == x.authority.Account {
		return false, err
	}
	return b.actFor(ctx, x.authority.Account, owner) != nil, nil
}

// ofTheOperator are commands that give access: REST has none of them, and with one of
// them a token that may only send could make itself a key that reads.
func ofTheOperator(commandType string) bool {
	return commandType == "account.create" || commandType == "account.set-auth-token" || strings.HasPrefix(commandType, "apikey.")
}

func denied(code, field, format string, args ...any) *engine.Failure {
	return &engine.Failure{Code: code, Field: field, Kind: string(domain.PermissionDenied), Twilio: 20403, Message: fmt.Sprintf(format, args...)}
}

// subjectSend is where the broker lets durable commands of restricted tokens through:
// behind the prefix come account, authority (three tokens) and aggregate.
const subjectSend = access.SendPrefix + "account.*.*.*.*"

// sendDoor stores durable commands of restricted tokens. They are not let into the
// stream by themselves: what a sender writes into the headers could mean something to
// the broker, and ids of messages are known across accounts.
type sendDoor struct {
	nc   *nats.Conn
	log  *slog.Logger
	acks string // prefix of where the stream acknowledges; behind it is where the sender waits
	subs []*nats.Subscription
}

// openSends opens the door. Close it to leave nothing behind on the connection.
func (b *Bus) openSends() (*sendDoor, error) {
	d := &sendDoor{nc: b.nc, log: b.log, acks: b.nc.NewInbox() + "."}
	acks, err := b.nc.Subscribe(d.acks+">", d.acknowledge)
	if err != nil {
		return nil, fmt.Errorf("open the durable door of restricted tokens: %w", err)
	}
	d.subs = append(d.subs, acks)
	sends, err := b.nc.QueueSubscribe(subjectSend, b.opts.Group, d.store)
	if err == nil {
		d.subs = append(d.subs, sends)
		err = b.nc.FlushTimeout(b.opts.provisionTimeout)
	}
	if err != nil {
		d.close()
		return nil, fmt.Errorf("open the durable door of restricted tokens: %w", err)
	}
	return d, nil
}

// close makes the broker tell senders that nobody is there.
func (d *sendDoor) close() {
	for _, sub := range d.subs {
		_ = sub.Unsubscribe() // fails when the connection is gone, and the subscription with it
	}
}

// store passes one command on to the stream.
func (d *sendDoor) store(m *nats.Msg) {
	rest := strings.TrimPrefix(m.Subject, access.SendPrefix)
	who, err := access.FromSubject(rest)
	if err != nil || who == nil {
		return // nobody but the broker's owner can write such a subject
	}
	marked := &nats.Msg{Subject: prefixSend + rest[strings.LastIndexByte(rest, '.')+1:], Header: markedHeader(m.Header, who), Data: m.Data}
	if replyOfBroker(m.Reply) {
		marked.Reply = d.acks + m.Reply
	}
	if err := d.nc.PublishMsg(marked); err != nil {
		d.log.Warn("durable command of a bus token was not stored; its sender was not told it was", "token", who.Token, "err", err)
	}
}

// acknowledge passes on what the stream says, be it that there is none.
func (d *sendDoor) acknowledge(m *nats.Msg) {
	answer := &nats.Msg{Subject: strings.TrimPrefix(m.Subject, d.acks), Header: m.Header, Data: m.Data}
	if err := d.nc.PublishMsg(answer); err != nil {
		d.log.Warn("acknowledgement of a durable command was not passed on; its sender sends it again", "err", err)
	}
}

// markedHeader is the sender's, without what would mean something to the broker.
func markedHeader(sent nats.Header, who *access.Authority) nats.Header {
	header := make(nats.Header, len(sent)+1)
	for name, values := range sent {
		if !ofTheBroker(name) {
			header[name] = values
		}
	}
	if id := sent.Get(nats.MsgIdHdr); id != "" {
		header.Set(nats.MsgIdHdr, who.Account+":"+id)
	}
	header.Set(headerAuthority, who.String())
	return header
}

// ofTheBroker reports whether a header means something to the broker or to its clients: a
// message without a body that has a status is taken for what the broker says of a read,
// is not handled, and holds up all that is behind it.
func ofTheBroker(name string) bool {
	return len(name) >= 5 && strings.EqualFold(name[:5], "Nats-") || strings.EqualFold(name, "Status") || strings.EqualFold(name, "Description")
}

// replyOfBroker reports whether a reply subject was made by the broker to lead back into
// the sender's own world. Others it passes on as they are: those that acknowledge
// messages of streams.
func replyOfBroker(subject string) bool { return strings.HasPrefix(subject, "_R_.") }

// confinedReply is where the answer to a restricted sender goes, empty for nowhere: to a
// call where the broker says, to a durable command into an inbox of the token.
func confinedReply(d *pubsub.Delivery, who *access.Authority, wanted string) string {
	switch {
	case d.Sequence == 0 && replyOfBroker(d.Reply):
		return d.Reply
	case d.Sequence == 0:
		return ""
	case d.Reply != "": // who redrives a dead letter waits there
		return d.Reply
	case strings.HasPrefix(wanted, "_INBOX.") || strings.HasPrefix(wanted, access.InboxPrefix(who.Token)+"."):
		return access.ReplyPrefix + who.Token + "." + wanted
	default:
		return ""
	}
}
