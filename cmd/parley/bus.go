package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/internal/bus/access"
	"github.com/parley-engine/parley/projections"
)

func busCommand() *cobra.Command {
	c := &cobra.Command{Use: "bus", Short: "Say who may do what on the bus"}
	tokens := &cobra.Command{
		Use: "token", Short: "Make tokens for the bus, list them, revoke them",
		Long: `Tokens for the bus are held to a role, by the embedded broker itself:

  commands    send commands of one account, over both doors, and hear the replies
  events      read the events of one account, live and through a consumer of its own
  everything  whatever there is on the broker, as with secrets/bus-token

A token for an account has a world of its own: nobody else hears or answers what its
clients send, and they hear of nobody else. docs/asyncapi.yaml says what each role may.`,
	}
	tokens.AddCommand(tokenCreate(), tokenList(), tokenRevoke(), tokenConfig())
	c.AddCommand(tokens)
	return c
}

// shownToken is a token as the tool shows it.
type shownToken struct {
	ID      string   `json:"id"`
	Token   string   `json:"token,omitempty"` // once, when it is made
	Name    string   `json:"name,omitempty"`
	Roles   []string `json:"roles"`
	Account string   `json:"account_sid,omitempty"`
	Actors  []string `json:"actors,omitempty"`

	InboxPrefix string `json:"inbox_prefix,omitempty"` // its own; the usual one works, too
	Stream      string `json:"stream,omitempty"`       // of events
	Consumer    string `json:"consumer,omitempty"`     // its own

	Created   *time.Time `json:"created,omitempty"`
	CreatedBy string     `json:"created_by,omitempty"`
	Revoked   *time.Time `json:"revoked,omitempty"`
	RevokedBy string     `json:"revoked_by,omitempty"`
	Closed    *int       `json:"connections_closed,omitempty"` // by a running server
	File      string     `json:"file,omitempty"`               // that has the token
}

func shownTokenOf(t access.Token) shownToken {
	s := shownToken{ID: t.ID, Name: t.Name, Account: t.Account, Actors: t.Actors, CreatedBy: t.CreatedBy, RevokedBy: t.RevokedBy}
	for _, r := range t.Roles {
		s.Roles = append(s.Roles, string(r))
	}
	if t.Restricted() {
		s.InboxPrefix = access.InboxPrefix(t.ID)
	}
	if t.Has(access.Events) {
		s.Stream, s.Consumer = access.EventStream, t.Consumer()
	}
	if s.Created = &t.Created; t.Created.IsZero() {
		s.Created = nil
	}
	if !t.Valid() {
		s.Revoked = &t.Revoked
	}
	return s
}

var tokenView = view[shownToken]{
	columns: []string{"id", "name", "roles", "account_sid", "actors", "created", "created_by", "revoked", "revoked_by"},
	cells: func(t shownToken) []string {
		return []string{t.ID, t.Name, strings.Join(t.Roles, " "), t.Account, strings.Join(t.Actors, " "), stampOf(t.Created), t.CreatedBy, stampOf(t.Revoked), t.RevokedBy}
	},
}

func stampOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return stamp(*t)
}

// wishFlags say what a token is wanted for.
type wishFlags struct {
	data, account, name *string
	roles, actors       *[]string
}

func addWishFlags(c *cobra.Command) wishFlags {
	w := wishFlags{data: dataFlag(c), account: accountFlag(c), name: c.Flags().String("name", "", "what it is for")}
	w.roles = c.Flags().StringSlice("role", nil, "commands, events, both, or everything")
	w.actors = c.Flags().StringSlice("actor", nil, "kinds of actors its commands may name: api, user, participant, channel, import (default: api)")
	return w
}

// wanted is what New is asked for. The account is the folder's own unless one is named.
func (w wishFlags) wanted() (t access.Token, err error) {
	t = access.Token{Name: *w.name, Account: *w.account, Actors: *w.actors}
	for _, r := range *w.roles {
		t.Roles = append(t.Roles, access.Role(r))
	}
	if t.Account == "" && t.Restricted() {
		t.Account, err = folder(*w.data).knownAccount()
	}
	return t, err
}

func tokenCreate() *cobra.Command {
	c := &cobra.Command{
		Use: "create", Short: "Make a token", Args: noArguments,
		Long: `Make a token, which is shown this once; the folder keeps its SHA-256. A running server
lets it in at once. Its role and account never change: make another one, and revoke this.

Without --actor its commands are those of the API. Naming users lets its holder act as
any user of the account. No token of an account acts as the timers or the system.`,
		Example: `  parley bus token create --role commands --account AC… --name orders
  parley bus token create --role commands,events --actor api,user
  parley bus token create --role events --account AC…`,
	}
	w := addWishFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		f := folder(*w.data)
		if err := errors.Join(f.exists(), f.ownBroker()); err != nil {
			return err
		}
		wanted, err := w.wanted()
		if err != nil {
			return err
		}
		if _, _, err := access.New(wanted, "", time.Time{}); err != nil {
			return usage("%v", err)
		}
		if err := knownAccount(c.Context(), f, wanted.Account); err != nil {
			return err
		}
		var made access.Token
		var secret string
		_, _, err = f.changeTokens(func(file access.File) (err error) {
			made, secret, err = file.Create(wanted, whoAsks(), time.Now())
			return err
		})
		if made.ID == "" || secret == "" {
			return err
		}
		shown := shownTokenOf(made)
		shown.Token = secret
		return errors.Join(printJSON(c.OutOrStdout(), shown), err)
	}
	return c
}

// knownAccount refuses the SID of an account that is not there, so that a typing error
// does not make a token that opens nothing.
func knownAccount(ctx context.Context, f folder, sid string) error {
	if sid == "" {
		return nil
	}
	return withReading(ctx, string(f), func(r *reading) error {
		_, err := r.queries.Account(ctx, sid)
		return err
	})
}

// errOthersBroker says that it is not ours to keep somebody out.
var errOthersBroker = errors.New("the server uses a broker that is not its own: Parley cannot keep its clients to a role; parley bus token config prints what that broker needs")

// ownBroker refuses when a server with another broker runs on the folder.
func (f folder) ownBroker() error {
	if e, err := f.running(); err == nil && e.External {
		return errOthersBroker
	}
	return nil
}

func tokenList() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the tokens, revoked ones among them", Args: noArguments,
		Long:    "List the tokens, revoked ones among them, and who made and revoked them when. The first\none is the folder's own, in secrets/bus-token.",
		Example: "  parley bus token list -o table",
	}
	flags := addReadFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		f := folder(*flags.data)
		if err := f.exists(); err != nil {
			return err
		}
		tokens, err := f.busTokens().Tokens()
		if err != nil {
			return err
		}
		list := []shownToken{{ID: folderToken, Roles: []string{string(access.Everything)}, File: f.path("secrets", "bus-token")}}
		for _, t := range tokens {
			list = append(list, shownTokenOf(t))
		}
		return show(c.OutOrStdout(), *flags.output, tokenView, each(list))
	}
	return c
}

// folderToken is what the list calls the token that a folder has from its first start on.
const folderToken = "folder"

func tokenRevoke() *cobra.Command {
	c := &cobra.Command{
		Use: "revoke ID", Short: "Make a token void", Args: oneArgument("id"),
		Long: `Make a token void. A running server closes its connections before the command returns,
and deletes its consumer. The list keeps who did it and when.`,
		Example: "  parley bus token revoke bt0123456789abcdef",
	}
	data := dataFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		f := folder(*data)
		if err := f.exists(); err != nil {
			return err
		}
		if args[0] == folderToken {
			return usage("the tool itself needs the folder's own token; for another one stop the server, remove %s, and start it", f.path("secrets", "bus-token"))
		}
		var revoked access.Token
		told, closed, err := f.changeTokens(func(file access.File) (err error) {
			revoked, err = file.Revoke(args[0], whoAsks(), time.Now())
			return err
		})
		if errors.Is(err, access.ErrNoToken) {
			return fmt.Errorf("%w: %w", projections.ErrNotFound, err)
		}
		if err != nil {
			return err
		}
		shown := shownTokenOf(revoked)
		if told {
			shown.Closed = &closed
		}
		return printJSON(c.OutOrStdout(), shown)
	}
	return c
}

func tokenConfig() *cobra.Command {
	c := &cobra.Command{
		Use: "config", Short: "Print what another broker needs to know of a role", Args: noArguments,
		Long: `Print the configuration of nats-server that does for a role what the embedded broker
does by itself. A broker that is not Parley's own (serve --broker) must keep its clients
in by itself: Parley's file of tokens means nothing there. What comes in on the subjects
of an account is held to it by Parley all the same.`,
		Example: "  parley bus token config --role commands --account AC… --broker-account PARLEY",
	}
	w := addWishFlags(c)
	account := c.Flags().String("broker-account", "PARLEY", "name of the account that Parley uses on that broker")
	c.RunE = func(c *cobra.Command, _ []string) error {
		wanted, err := w.wanted()
		if err != nil {
			return err
		}
		t, _, err := access.New(wanted, "", time.Time{})
		if err != nil {
			return usage("%v", err)
		}
		if !t.Restricted() {
			return usage("everything is what any user of %s may do there", *account)
		}
		return t.WriteConfig(c.OutOrStdout(), *account)
	}
	return c
}
