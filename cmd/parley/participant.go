package main

import (
	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/projections"
)

func participantCommand() *cobra.Command {
	c := &cobra.Command{Use: "participant", Short: "Look at participants"}
	c.AddCommand(participantList())
	return c
}

var participantView = view[projections.Participant]{
	columns: []string{"sid", "identity", "type", "address", "proxy_address", "role_sid", "date_created"},
	cells: func(p projections.Participant) []string {
		b := p.MessagingBinding
		return []string{p.Sid, short(p.Identity, 32), b.Type, b.Address, b.ProxyAddress, p.RoleSid, stamp(p.DateCreated)}
	},
}

func participantList() *cobra.Command {
	c := &cobra.Command{Use: "list CH…|UNIQUE_NAME", Short: "List a conversation's participants", Args: oneArgument("conversation")}
	c.Example = "  parley participant list order-1042\n  parley participant list order-1042 --as-of 1042"
	flags, service, limit, asOf := addReadFlags(c), serviceFlag(c), limitFlag(c), clockedFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return withReading(c.Context(), *flags.data, func(r *reading) error {
			return r.at(c.Context(), *asOf, *service, args[0], func(q *projections.Queries, service, ref string) error {
				return show(c.OutOrStdout(), *flags.output, participantView, func(yield func(projections.Participant) error) error {
					return pages(*limit, func(p projections.Page) (projections.List[projections.Participant], error) {
						return q.Participants(c.Context(), service, ref, p)
					}, yield)
				})
			})
		})
	}
	return c
}
