package access

// Subjects of the bus that roles are about. Package bus uses the same.
const (
	CallPrefix     = "parley.call."
	CommandsPrefix = "parley.commands."
	EventsPrefix   = "parley.events."
	// SendPrefix is where durable commands of restricted tokens come in, to be stored
	// by Parley, which marks them with their authority.
	SendPrefix = "parley.send."
	// ReplyPrefix is where replies to durable commands of restricted tokens go out,
	// followed by the token's id and the subject in its own world.
	ReplyPrefix = "parley.reply."
	// EventStream is the stream that has all events.
	EventStream = "PARLEY_EVENTS"
)

// Route lets messages pass between the token's own world and Parley's.
type Route struct {
	Inside  string // subject in the token's world
	Outside string // the same in Parley's; wildcards in order
	Many    bool   // a request may be answered more than once
}

// Rules are what a token may do, in the broker's terms.
type Rules struct {
	Publish   []string // subjects in its own world; nothing else can be published
	Subscribe []string // likewise
	Requests  []Route  // from its world to Parley's, and the replies back
	Messages  []Route  // from Parley's world to its own
}

// Rules are those of a restricted token; one for everything has none to obey.
func (t *Token) Rules() Rules {
	r := Rules{Subscribe: t.inboxes()}
	if t.Has(Commands) {
		t.commandRules(&r)
	}
	if t.Has(Events) {
		t.eventRules(&r)
	}
	return r
}

// inboxes are where the token's replies come in: clients make up names below them. The
// second is for clients that are told a prefix; neither can be heard by anybody else.
func (t *Token) inboxes() []string { return []string{"_INBOX.>", InboxPrefix(t.ID) + ".>"} }

// InboxPrefix is a prefix of inboxes that has the token's id.
func InboxPrefix(token string) string { return "_INBOX_" + token }

func (t *Token) commandRules(r *Rules) {
	who := t.authority()
	r.Publish = append(r.Publish, CallPrefix+"*", CommandsPrefix+"*")
	r.Requests = append(r.Requests,
		Route{Inside: CallPrefix + "*", Outside: CallPrefix + who.Subject("*")},
		Route{Inside: CommandsPrefix + "*", Outside: SendPrefix + who.Subject("*")})
	for _, inbox := range t.inboxes() {
		r.Messages = append(r.Messages, Route{Inside: inbox, Outside: ReplyPrefix + t.ID + "." + inbox})
	}
}

// eventRules give a token the events of its account as they happen, and a pull consumer
// that Parley keeps for it: it may be asked for the next messages and about itself, and
// messages may be acknowledged.
func (t *Token) eventRules(r *Rules) {
	live := EventsPrefix + t.Account + ".>"
	r.Subscribe = append(r.Subscribe, EventsPrefix+">")
	r.Messages = append(r.Messages, Route{Inside: live, Outside: live})
	own := EventStream + "." + t.Consumer()
	for _, prefix := range []string{apiPrefix, APIPrefix + "."} {
		r.allow(Route{Inside: prefix + "CONSUMER.INFO." + own, Outside: apiPrefix + "CONSUMER.INFO." + own})
		r.allow(Route{Inside: prefix + "CONSUMER.MSG.NEXT." + own, Outside: apiPrefix + "CONSUMER.MSG.NEXT." + own, Many: true})
	}
	r.allow(Route{Inside: "$JS.ACK." + own + ".>", Outside: "$JS.ACK." + own + ".>", Many: true})
}

// apiPrefix is that of JetStream's requests.
const apiPrefix = "$JS.API."

// APIPrefix may stand in its place. On a broker that is not Parley's own it must: there
// the other one leads to the streams of the token's own world, of which there are none.
const APIPrefix = "parley.js"

func (r *Rules) allow(request Route) {
	r.Publish = append(r.Publish, request.Inside)
	r.Requests = append(r.Requests, request)
}

// Consumer is the name of the token's consumer of EventStream.
func (t *Token) Consumer() string { return t.ID }

// EventFilter is what the token's consumer delivers.
func (t *Token) EventFilter() string { return EventsPrefix + t.Account + ".>" }
