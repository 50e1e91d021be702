package rest

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
)

// forms says under which of the two families of paths an operation exists.
type forms int

const (
	bothForms   forms = iota // /v1/… and /v1/Services/{ChatServiceSid}/…
	accountForm              // /v1/… only
	serviceForm              // /v1/Services/{ChatServiceSid}/… only
)

// scope says what the rate of a write is counted against (reference section 11).
type scope int

const (
	unlimited       scope = iota
	perService            // conversations made and removed, users, roles
	perConversation       // what happens within one
)

// route is one operation: a line of the table.
type route struct {
	method string
	path   string // behind the prefix of the form
	name   string // operation id of the account form
	forms  forms
	users  bool // an access token may be used
	limit  scope
	hooks  bool // takes X-Twilio-Webhook-Enabled
	joins  bool // may be sent by who does not see the conversation yet
	params []param
	answer any    // a zero value of what is returned; nil: nothing
	list   string // key of the list, for lists of answers
	page   int    // largest page of the list
	status int    // of success
	raw    bool   // the body is bytes, not a form
	signed bool   // a signed address stands for credentials
	own    bool   // Parley's addition: not an operation of Twilio's
	handle func(*call) error
}

const servicePrefix = "/Services/{ChatServiceSid}"

// pattern is a path of the router.
type pattern struct {
	method, path string
	service      bool
}

func (p pattern) String() string { return p.method + " /v1" + p.path }

func (r route) patterns() []pattern {
	var list []pattern
	if r.forms != serviceForm {
		list = append(list, pattern{r.method, r.path, false})
	}
	if r.forms != accountForm {
		list = append(list, pattern{r.method, servicePrefix + r.path, true})
	}
	return list
}

// call is one request to an operation.
type call struct {
	*api
	route     route
	w         http.ResponseWriter
	r         *http.Request
	caller    caller
	place     engine.Place
	inService bool
	values    values
	unseen    error             // why the caller may not know of the conversation; nil: he may
	keep      func(body []byte) // nil: the answer is not kept
}

func (a *api) handler(r route, inService bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		c := &call{api: a, route: r, w: w, r: request, inService: inService}
		run := c.run
		if r.signed && a.signatureHolds(request.PathValue("Sid"), request.URL.Query()) {
			run = c.signedFile
		}
		if err := run(); err != nil {
			c.fail(err)
		}
	})
}

// run is the way of every request: who, where, whether, what.
func (c *call) run() (err error) {
	if c.caller, err = c.authenticate(c.r); err != nil {
		return err
	}
	c.hurry()
	if c.caller.identity != "" && !c.route.users {
		return forbidden("This is not for users")
	}
	if err := checkPath(c.r); err != nil {
		return err
	}
	if c.place, err = c.api.place(c.r, c.caller, c.inService); err != nil {
		return err
	}
	if err := c.decode(); err != nil {
		return err
	}
	if err := c.checkHooked(); err != nil {
		return err
	}
	if err := c.waitFor(); err != nil {
		return err
	}
	return c.route.handle(c)
}

// How long a client may take to send what it announced.
const (
	strangerPatience = 10 * time.Second // before it is known who it is
	formPatience     = 30 * time.Second
	uploadPatience   = 30 * time.Minute
)

// hurry puts a limit on the time in which the body has to arrive. Whose credentials
// do not hold has had the one of ServeHTTP.
func (c *call) hurry() {
	patience := formPatience
	if c.route.raw {
		patience = uploadPatience
	}
	if c.r.ContentLength != 0 {
		_ = http.NewResponseController(c.w).SetReadDeadline(time.Now().Add(patience)) // not every connection has one
	}
}

func (c *call) fail(err error) {
	p := problemOf(err, c.r.URL.Path)
	p.written(c.route)
	if p.status == http.StatusInternalServerError {
		c.Logger.Error("request failed", "operation", c.route.name, "err", err)
	}
	writeProblem(c.w, p)
}

// checkPath refuses path segments that are no text.
func checkPath(r *http.Request) error {
	if domain.ValidText(r.URL.Path) {
		return nil
	}
	return problem{status: http.StatusNotFound, code: 20404, message: "The requested resource was not found", details: details{Code: "not_found"}}
}

// decode reads the parameters: of a write from the body, of a read from the query.
func (c *call) decode() (err error) {
	var given url.Values
	switch {
	case c.route.method == http.MethodPost && !c.route.raw:
		given, err = form(c.w, c.r)
	default:
		given, err = parse(c.r.URL.RawQuery, "query", "malformed_query")
	}
	if err != nil {
		return err
	}
	c.values, err = decode(c.route.params, given)
	return err
}

// waitFor holds a request until the read models have come as far as the client
// has already seen (header Parley-Wait-For).
func (c *call) waitFor() error {
	header := c.r.Header.Get("Parley-Wait-For")
	if header == "" {
		return nil
	}
	position, err := events.ParsePosition(header)
	if err != nil {
		return problem{status: http.StatusBadRequest, code: 20422, message: "Parley-Wait-For is not a position", details: details{Code: "position_invalid", Field: "Parley-Wait-For"}}
	}
	return c.wait(position)
}

// wait is bounded by Config.MaxWait.
func (c *call) wait(position events.Position) error {
	if position.IsZero() {
		return nil
	}
	ctx, cancel := contextWithin(c.r, c.MaxWait)
	defer cancel()
	if err := c.Wait(ctx, position); err != nil {
		c.Logger.Warn("read models are behind", "position", position, "err", err)
		return problem{status: http.StatusServiceUnavailable, code: 20500, message: "The read models have not come that far yet; try again",
			retryAfter: time.Second, details: details{Code: "behind", Retryable: true}}
	}
	return nil
}

// fresh makes sure that queries about the keys see what was written here before.
func (c *call) fresh(keys ...string) error {
	var position events.Position
	for _, key := range keys {
		position = later(position, c.Fresh.position(key))
	}
	return c.wait(position)
}

// ordered is the command that the request asks for.
func (c *call) ordered(aggregate string, fields command) (do engine.Command, err error) {
	do = engine.Command{
		Type: fields.CommandType(), Aggregate: aggregate, Account: c.place.Account, Service: c.place.Service,
		Actor: c.caller.actor(), Fields: fields, Traceparent: traceparent(c.r), Webhooks: c.hooked(),
	}
	if do.ID, err = c.commandID(aggregate); err != nil {
		return do, err
	}
	if do.ExpectedRevision, err = ifMatch(c.r); err != nil {
		return do, err
	}
	if aggregate == "" && do.ExpectedRevision != nil {
		return do, tagMismatch("What is yet to be made has no ETag")
	}
	return do, nil
}

// command sends a command of the caller to the engine.
func (c *call) command(aggregate string, fields command) (engine.Outcome, error) {
	do, err := c.ordered(aggregate, fields)
	if err != nil {
		return engine.Outcome{}, cmp.Or(c.unseen, err) // a stranger is not told what is wrong with his headers either
	}
	if c.unseen != nil {
		return c.repeated(do)
	}
	if do.Webhooks && c.Before != nil {
		if do, err = c.Before(c.r.Context(), do); err != nil {
			return engine.Outcome{}, err
		}
	}
	outcome, err := c.Engine.Execute(c.r.Context(), do)
	if err != nil {
		return outcome, err
	}
	c.w.Header().Set("Parley-Position", outcome.Position.String())
	return outcome, nil
}

// repeated answers a command that was done before: a user who left, or removed the
// conversation, and sends that again hears that it is done. Everything else of somebody
// who does not see the conversation is refused as a read of it is, and no webhook is
// asked about it.
func (c *call) repeated(do engine.Command) (engine.Outcome, error) {
	do.Deadline = time.Unix(0, 0) // nothing is done after its deadline; a repeat is recognised before
	outcome, err := c.Engine.Execute(c.r.Context(), do)
	if err != nil {
		return outcome, c.unseen
	}
	c.w.Header().Set("Parley-Position", outcome.Position.String())
	return outcome, nil
}

const webhookHeader = "X-Twilio-Webhook-Enabled"

// checkHooked refuses what is neither yes nor no, of operations that ask.
func (c *call) checkHooked() error {
	given := c.r.Header[webhookHeader]
	if !c.route.hooks || len(given) == 0 {
		return nil
	}
	if len(given) == 1 && (param{kind: flag}).fits(given[0]) {
		return nil
	}
	return invalidParameter(0, webhookHeader, webhookHeader+" must be true or false")
}

// hooked reports whether webhooks are to hear of it: what users do always, what
// the account does if it says so (reference 8.1).
func (c *call) hooked() bool {
	return c.caller.identity != "" || c.route.hooks && strings.EqualFold(c.r.Header.Get(webhookHeader), "true")
}

// maxKey bounds an idempotency key, in bytes.
const maxKey = 255

// commandID makes the same request with the same Idempotency-Key the same
// command; without one every request is a command of its own.
func (c *call) commandID(aggregate string) (events.ID, error) {
	key := c.r.Header.Get("Idempotency-Key")
	switch {
	case key == "":
		id, err := uuid.NewV7()
		return events.ID(id), err
	case len(key) > maxKey || !domain.ValidText(key):
		return events.ID{}, problem{status: http.StatusBadRequest, code: 20422, message: "Idempotency-Key is at most 255 bytes of text",
			details: details{Code: "idempotency_key_invalid", Field: "Idempotency-Key"}}
	}
	return CommandID(c.place, c.caller.identity, c.r.Method, c.r.URL.Path, aggregate, key), nil
}

// CommandID returns the id of the command that a request with an Idempotency-Key
// is, for those who look for it in the log. Keys are each user's own (identity;
// empty for the account), and each aggregate's: the name in a path may come to mean
// another one, and ids of events are made from those of commands.
func CommandID(p engine.Place, identity, method, path, aggregate, key string) events.ID {
	return events.NameID(strings.Join([]string{"rest", p.Account, p.Service, identity, method, path, aggregate, key}, "\x00"))
}

// ifMatch reads the revision a client expects an aggregate to be at.
func ifMatch(r *http.Request) (*int64, error) {
	header := r.Header.Get("If-Match")
	if header == "" || header == "*" {
		return nil, nil
	}
	tag := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(header, "W/"), `"`), `"`)
	revision, err := strconv.ParseInt(tag, 10, 64)
	if err != nil || revision < 0 {
		return nil, tagMismatch("If-Match is not an ETag of this resource")
	}
	return &revision, nil
}

func tagMismatch(message string) problem {
	return problem{status: http.StatusPreconditionFailed, code: 20409, message: message, details: details{Code: "version_conflict", Field: "If-Match"}}
}

// traceparent passes a W3C trace context on if it looks like one.
func traceparent(r *http.Request) string {
	const length = 55
	if t := r.Header.Get("Traceparent"); len(t) == length && domain.ValidText(t) {
		return t
	}
	return ""
}

// limited takes from the allowance of what is written to: of the conversation, or of
// the service.
func (c *call) limited(conversation string) error {
	switch {
	case conversation != "" && c.route.limit == perConversation:
		return c.allowance("conversation " + conversation)
	case c.route.limit == perService && c.caller.identity == "":
		return c.allowance("service " + c.place.Service)
	}
	return c.strangersAllowance()
}

// strangersAllowance is the caller's own. Nobody can use up that of others: users have
// one for what is limited per service, and so has whoever writes to a conversation that
// is not his.
func (c *call) strangersAllowance() error {
	return c.allowance("caller " + c.place.Service + " " + c.caller.identity)
}

func (c *call) allowance(key string) error {
	if c.route.limit == unlimited || c.Actions == nil {
		return nil
	}
	if ok, after := c.Actions.Allow(c.Now(), key); !ok {
		return problem{status: http.StatusTooManyRequests, code: 50063, message: "Too many actions per second", retryAfter: after,
			details: details{Code: "rate_limited", Retryable: true}}
	}
	return nil
}

// conversation returns the SID behind the path's conversation, empty when there is none.
func (c *call) conversation(name string) (string, error) {
	return c.Engine.ConversationSid(c.r.Context(), c.place, c.r.PathValue(name))
}

// write settles which conversation a write is for, and takes from its allowance. Of
// somebody who does not see it, command does no more than answer a repeat.
func (c *call) write(name string) (string, error) {
	conversation, err := c.conversation(name)
	if err != nil {
		return "", err
	}
	mayAsk := c.Engine.MayRead
	if c.route.joins && c.values.str("Identity") == c.caller.identity {
		mayAsk = c.Engine.MayJoin
	}
	refused := mayAsk(c.r.Context(), c.place, c.caller.identity, conversation)
	switch {
	case refused == nil:
		return conversation, c.limited(conversation)
	case conversation == "":
		return "", cmp.Or(c.strangersAllowance(), refused)
	}
	c.unseen = refused
	return conversation, c.strangersAllowance()
}

// read settles which conversation a read is about: one the caller may see, as
// fresh as it was written here.
func (c *call) read(name string) (string, error) {
	conversation, err := c.conversation(name)
	if err != nil {
		return "", err
	}
	if err := c.sees(conversation); err != nil {
		return "", err
	}
	return conversation, c.fresh(conversation)
}

// sees refuses a caller who may not see a conversation.
func (c *call) sees(conversation string) error {
	return c.Engine.MayRead(c.r.Context(), c.place, c.caller.identity, conversation)
}

// found turns a row that is not there, or not of the place, into not found.
func (c *call) found(err error, account, service string) error {
	if errors.Is(err, projections.ErrNotFound) || err == nil && (account != c.place.Account || service != "" && service != c.place.Service) {
		return notFound(c.r.URL.Path)
	}
	return err
}
