package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store/sqlitestore"
)

func accountCommand() *cobra.Command {
	c := &cobra.Command{Use: "account", Short: "Make and list accounts"}
	c.AddCommand(accountCreate(), accountList())
	return c
}

var accountView = view[projections.Account]{
	columns: []string{"sid", "friendly_name", "default_chat_service_sid", "default_messaging_service_sid", "date_created"},
	cells: func(a projections.Account) []string {
		return []string{a.Sid, short(a.FriendlyName, 32), a.DefaultChatServiceSid, a.DefaultMessagingServiceSid, stamp(a.DateCreated)}
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

func accountCreate() *cobra.Command {
	c := &cobra.Command{
		Use: "create", Short: "Make an account with its default service", Args: noArguments,
		Long: "Make an account with its default service and that service's four roles. A running\nserver does it; without one it is done on the data folder.",
	}
	data := dataFlag(c)
	name := c.Flags().String("friendly-name", "", "name of the account")
	c.RunE = func(c *cobra.Command, _ []string) error {
		body, err := json.Marshal(map[string]string{"friendly_name": *name})
		if err != nil {
			return err
		}
		outcome, err := execute(c.Context(), folder(*data), engine.Command{ID: events.ID(uuid.New()), Type: "account.create", Body: body})
		if err != nil {
			return err
		}
		return printJSON(c.OutOrStdout(), outcome)
	}
	return c
}

// execute has a command done by the folder's server, or here if none runs. That
// none runs is for the log's lock to say, not for a file left by a crash.
func execute(ctx context.Context, f folder, command engine.Command) (outcome engine.Outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = withClient(f, func(client *bus.Client) error {
		outcome, err = client.Call(ctx, command)
		return err
	})
	if !errors.Is(err, errNoServer) {
		return outcome, err
	}
	log, err := sqlitestore.Open(f.log(), nil)
	if err != nil {
		return outcome, err
	}
	account, err := f.account(ctx, log)
	if err == nil {
		outcome, err = engine.New(log, &engine.Options{DefaultAccount: account}).Execute(ctx, command)
	}
	return outcome, errors.Join(err, log.Close())
}
