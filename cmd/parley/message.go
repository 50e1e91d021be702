package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/projections"
)

func messageCommand() *cobra.Command {
	c := &cobra.Command{Use: "message", Short: "Look at messages"}
	c.AddCommand(messageList())
	return c
}

var messageView = view[projections.Message]{
	columns: []string{"index", "sid", "author", "body", "delivery", "date_created"},
	cells: func(m projections.Message) []string {
		return []string{fmt.Sprint(m.Index), m.Sid, short(m.Author, 24), short(m.Body, 48), delivery(m.Delivery), stamp(m.DateCreated)}
	},
}

// delivery names the furthest status that anybody has reached.
func delivery(d *projections.Delivery) string {
	if d == nil {
		return ""
	}
	for _, status := range []struct {
		name  string
		share projections.Share
	}{{"failed", d.Failed}, {"undelivered", d.Undelivered}, {"read", d.Read}, {"delivered", d.Delivered}, {"sent", d.Sent}} {
		if status.share != projections.None && status.share != "" {
			return fmt.Sprintf("%s by %s of %d", status.name, status.share, d.Total)
		}
	}
	return fmt.Sprintf("0 of %d", d.Total)
}

func messageList() *cobra.Command {
	c := &cobra.Command{
		Use: "list CH…|UNIQUE_NAME", Short: "List a conversation's messages by index", Args: oneArgument("conversation"),
		Example: "  parley message list order-1042 --desc --limit 10\n  parley message list order-1042 --as-of 2026-11-25T16:00:00Z",
	}
	flags, service, limit := addReadFlags(c), serviceFlag(c), limitFlag(c)
	descending, asOf := c.Flags().Bool("desc", false, "newest first"), clockedFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return withReading(c.Context(), *flags.data, func(r *reading) error {
			return r.at(c.Context(), *asOf, *service, args[0], func(q *projections.Queries, service, ref string) error {
				return show(c.OutOrStdout(), *flags.output, messageView, func(yield func(projections.Message) error) error {
					return pages(*limit, func(p projections.Page) (projections.List[projections.Message], error) {
						return q.Messages(c.Context(), service, ref, *descending, p)
					}, yield)
				})
			})
		})
	}
	return c
}
