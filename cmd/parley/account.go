package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
)

func accountCommand() *cobra.Command {
	c := &cobra.Command{Use: "account", Short: "Make accounts, list them, give them auth tokens"}
	c.AddCommand(accountCreate(), accountList(), accountRotate(), accountRevoke())
	return c
}

var accountView = view[projections.Account]{
	columns: []string{"sid", "friendly_name", "default_chat_service_sid", "default_messaging_service_sid", "parent_sid", "date_created"},
	cells: func(a projections.Account) []string {
		return []string{a.Sid, short(a.FriendlyName, 32), a.DefaultChatServiceSid, a.DefaultMessagingServiceSid, a.ParentSid, stamp(a.DateCreated)}
	},
}

func accountList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List accounts", Args: noArguments}
	flags, limit := addReadFlags(c), limitFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withReading(c.Context(), *flags.data, func(r *reading) error {
			return show(c.OutOrStdout(), *flags.output, accountView, func(yield func(projections.Account) error) error {
				return pages(*limit, func(p projections.Page) (projections.List[projections.Account], error) {
					return r.queries.Accounts(c.Context(), p)
				}, yield)
			})
		})
	}
	return c
}

// issued is what a command shows once and never again.
type issued struct {
	Sid        string   `json:"sid"`
	AccountSid string   `json:"account_sid,omitempty"`
	AuthToken  string   `json:"auth_token,omitempty"`
	Secret     string   `json:"secret,omitempty"`
	Events     []string `json:"events"`
}

func accountCreate() *cobra.Command {
	c := &cobra.Command{
		Use: "create", Short: "Make an account with its default service and an auth token", Args: noArguments,
		Long: `Make an account with its default service, that service's four roles, and an auth
token, which is shown this once. A running server does it; without one it is done
on the data folder. With --parent it is a sub-account: the parent may act for it.`,
		Example: "  parley account create --friendly-name Shop\n  parley account create --friendly-name Branch --parent AC…",
	}
	data := dataFlag(c)
	name := c.Flags().String("friendly-name", "", "name of the account")
	parent := c.Flags().String("parent", "", "SID of the account that may act for this one")
	c.RunE = func(c *cobra.Command, _ []string) error {
		made, err := execute(c.Context(), folder(*data), "", "", account.Create{FriendlyName: *name, Parent: *parent})
		if err != nil {
			return err
		}
		shown, err := issueToken(c.Context(), folder(*data), made.Sid)
		if err != nil {
			return fmt.Errorf("the account %s was made, but has no auth token; account rotate makes one: %w", made.Sid, err)
		}
		shown.Events = append(made.Events, shown.Events...)
		return printJSON(c.OutOrStdout(), shown)
	}
	return c
}

func accountRotate() *cobra.Command {
	c := &cobra.Command{
		Use: "rotate ACCOUNT", Short: "Give an account another auth token", Args: cobra.ExactArgs(1),
		Long:    "Give an account another auth token, which is shown this once. The former is void at\nonce; API keys are not touched.",
		Example: "  parley account rotate AC…",
	}
	data := dataFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		shown, err := issueToken(c.Context(), folder(*data), args[0])
		if err != nil {
			return err
		}
		return printJSON(c.OutOrStdout(), shown)
	}
	return c
}

func accountRevoke() *cobra.Command {
	c := &cobra.Command{
		Use: "revoke ACCOUNT", Short: "Take an account's auth token away", Args: cobra.ExactArgs(1),
		Long:    "Take an account's auth token away. Its API keys still work; account rotate gives it\nanother token. For the folder's own account secrets/auth-token is emptied.",
		Example: "  parley account revoke AC…",
	}
	data := dataFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		outcome, err := execute(c.Context(), folder(*data), args[0], args[0], account.SetAuthToken{})
		if err != nil {
			return err
		}
		if own, err := folder(*data).knownAccount(); err != nil || own == args[0] {
			// Not removed: a start without the file makes another token.
			if err := errors.Join(err, folder(*data).keepAuthToken("")); err != nil {
				return err
			}
		}
		return printJSON(c.OutOrStdout(), issued{Sid: args[0], Events: outcome.Events})
	}
	return c
}

// issueToken gives an account a token. That of the folder's own account is kept in
// the folder as well.
func issueToken(ctx context.Context, f folder, sid string) (issued, error) {
	token, err := randomHex(16)
	if err != nil {
		return issued{}, err
	}
	outcome, err := execute(ctx, f, sid, sid, account.SetAuthToken{Secret: token})
	if err != nil {
		return issued{}, err
	}
	if own, err := f.knownAccount(); err != nil || own == sid {
		err = errors.Join(err, f.keepAuthToken(token))
		return issued{Sid: sid, AuthToken: token, Events: outcome.Events}, err
	}
	return issued{Sid: sid, AuthToken: token, Events: outcome.Events}, nil
}

// execute has a command done by the folder's server, or here if none runs. That
// none runs is for the log's lock to say, not for a file left by a crash.
func execute(ctx context.Context, f folder, accountSid, aggregate string, fields interface{ CommandType() string }) (outcome engine.Outcome, err error) {
	body, err := json.Marshal(fields)
	if err != nil {
		return outcome, err
	}
	command := engine.Command{ID: events.ID(uuid.New()), Type: fields.CommandType(), Account: accountSid, Aggregate: aggregate, Body: body}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = withClient(f, func(client *bus.Client) error {
		outcome, err = client.Call(ctx, command)
		return err
	})
	if !errors.Is(err, errNoServer) {
		return outcome, err
	}
	log, err := f.openLog(ctx, nil)
	if err != nil {
		return outcome, err
	}
	outcome, err = executeHere(ctx, f, log, command)
	return outcome, errors.Join(err, log.Close())
}

func executeHere(ctx context.Context, f folder, log store.Log, command engine.Command) (engine.Outcome, error) {
	own, err := f.account(ctx, log)
	if err != nil {
		return engine.Outcome{}, err
	}
	if command.Type != (account.SetAuthToken{}).CommandType() { // which is the way out of a lost key
		if err := f.checkIdentity(ctx, log, own); err != nil {
			return engine.Outcome{}, err
		}
	}
	vault, err := f.vault()
	if err != nil {
		return engine.Outcome{}, err
	}
	return engine.New(log, &engine.Options{DefaultAccount: own, Vault: vault}).Execute(ctx, command)
}
