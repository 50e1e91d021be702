package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/channels/carrier"
)

var (
	deliveries = jobKind{file: queueOut, command: "delivery", one: "a message to somebody outside", many: "messages to people outside"}
	arrivals   = jobKind{file: queueIn, command: "inbound", one: "a message or a status from outside", many: "messages and statuses from outside"}
)

func deliveryCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "delivery", Short: "Look after messages on their way to SMS, WhatsApp and others",
		Long: `Look after messages on their way to people outside: those that wait for a carrier, those
that were given up and are parked, and what came of each attempt. Works with and without
a server.

What a carrier may or may not have sent before the connection broke is parked, unless the
carrier recognises a message that it is given again: "retry" sends it again.`,
	}
	c.AddCommand(listed(deliveries), deliveries.retry(), deliveries.discard())
	return c
}

func inboundCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "inbound", Short: "Look after messages and statuses that come from outside",
		Long: `Look after what carriers handed over: messages from outside, and statuses of what was
sent. What could not be made anything of is parked. Works with and without a server.`,
	}
	c.AddCommand(listed(arrivals), arrivals.retry(), arrivals.discard(), inboundSend())
	return c
}

// listed is the list of jobs and their attempts, under the name that others know.
func listed(k jobKind) *cobra.Command {
	c := k.attempts()
	c.Use = "list [ID]"
	c.Example = fmt.Sprintf("  parley %[1]s list --state parked\n  parley %[1]s list --conversation CH…\n  parley %[1]s list 42", k.command)
	return c
}

// inboundSend hands a message to a running server, as a carrier does.
func inboundSend() *cobra.Command {
	c := &cobra.Command{
		Use: "send", Short: "Hand a message to a running server as a carrier does", Args: noArguments,
		Long: `Hand a message to a running server as a carrier does. The same message twice, by its
--id, counts once.`,
		Example: "  parley inbound send --from +491700000001 --to +4930555000 --body 'Is it open today?'",
	}
	data := dataFlag(c)
	var m carrier.Inbound
	adapter := c.Flags().String("adapter", "loopback", "adapter that it comes through")
	c.Flags().StringVar(&m.ID, "id", "", "the carrier's id of it (default: a new one)")
	c.Flags().StringVar(&m.From, "from", "", "address of who wrote it")
	c.Flags().StringArrayVar(&m.To, "to", nil, "address that it was written to; more than one of a group")
	c.Flags().StringVar(&m.Body, "body", "", "the text")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if m.ID == "" {
			m.ID = uuid.NewString()
		}
		m.At = time.Now().UTC()
		body, err := json.Marshal(m)
		if err != nil {
			return err
		}
		return withClient(folder(*data), func(client *bus.Client) error {
			if err := client.Report(c.Context(), *adapter, carrier.KindInbound, body); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), m.ID)
			return err
		})
	}
	return c
}
