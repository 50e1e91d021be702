package main

import (
	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/domain/apikey"
	"github.com/parley-engine/parley/projections"
)

func apiKeyCommand() *cobra.Command {
	c := &cobra.Command{Use: "apikey", Short: "Make API keys, list them, replace their secrets, revoke them",
		Long: `API keys are further ways to act for an account: a client names the key's SID and
shows its secret, or signs access tokens of users with it.`}
	c.AddCommand(apiKeyCreate(), apiKeyList(), apiKeyRotate(), apiKeyRevoke())
	return c
}

var apiKeyView = view[projections.APIKey]{
	columns: []string{"sid", "account_sid", "friendly_name", "date_created", "date_updated"},
	cells: func(k projections.APIKey) []string {
		return []string{k.Sid, k.AccountSid, short(k.FriendlyName, 32), stamp(k.DateCreated), stamp(k.DateUpdated)}
	},
}

func accountFlag(c *cobra.Command) *string {
	return c.Flags().String("account", "", "SID of the account (default: the folder's own)")
}

func apiKeyCreate() *cobra.Command {
	c := &cobra.Command{
		Use: "create", Short: "Make an API key", Args: noArguments,
		Long:    "Make an API key. Its secret is shown this once. A running server does it; without one\nit is done on the data folder.",
		Example: "  parley apikey create --friendly-name backend",
	}
	data, account := dataFlag(c), accountFlag(c)
	name := c.Flags().String("friendly-name", "", "name of the key")
	c.RunE = func(c *cobra.Command, _ []string) error {
		secret, err := randomHex(16)
		if err != nil {
			return err
		}
		outcome, err := execute(c.Context(), folder(*data), *account, "", apikey.Create{FriendlyName: *name, Secret: secret})
		if err != nil {
			return err
		}
		return printJSON(c.OutOrStdout(), issued{Sid: outcome.Sid, AccountSid: *account, Secret: secret, Events: outcome.Events})
	}
	return c
}

func apiKeyList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List an account's API keys", Args: noArguments, Example: "  parley apikey list -o table"}
	flags, limit, account := addReadFlags(c), limitFlag(c), accountFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withReading(c.Context(), *flags.data, func(r *reading) error {
			sid, err := r.folder.knownAccount()
			if *account != "" {
				sid = *account
			}
			if err != nil {
				return err
			}
			return show(c.OutOrStdout(), *flags.output, apiKeyView, func(yield func(projections.APIKey) error) error {
				return pages(*limit, func(p projections.Page) (projections.List[projections.APIKey], error) {
					return r.queries.APIKeys(c.Context(), sid, p)
				}, yield)
			})
		})
	}
	return c
}

func apiKeyRotate() *cobra.Command {
	c := &cobra.Command{
		Use: "rotate KEY", Short: "Give an API key another secret", Args: cobra.ExactArgs(1),
		Long:    "Give an API key another secret, which is shown this once. The former is void at once,\nand so are the access tokens that were signed with it.",
		Example: "  parley apikey rotate SK…",
	}
	data, account := dataFlag(c), accountFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		secret, err := randomHex(16)
		if err != nil {
			return err
		}
		outcome, err := execute(c.Context(), folder(*data), *account, args[0], apikey.ReplaceSecret{Secret: secret})
		if err != nil {
			return err
		}
		return printJSON(c.OutOrStdout(), issued{Sid: args[0], Secret: secret, Events: outcome.Events})
	}
	return c
}

func apiKeyRevoke() *cobra.Command {
	c := &cobra.Command{
		Use: "revoke KEY", Short: "End an API key", Args: cobra.ExactArgs(1),
		Long:    "End an API key at once, together with the access tokens that were signed with it.",
		Example: "  parley apikey revoke SK…",
	}
	data, account := dataFlag(c), accountFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		outcome, err := execute(c.Context(), folder(*data), *account, args[0], apikey.Revoke{})
		if err != nil {
			return err
		}
		return printJSON(c.OutOrStdout(), issued{Sid: args[0], Events: outcome.Events})
	}
	return c
}
