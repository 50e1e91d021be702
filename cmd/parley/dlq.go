package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/bus/broker"
	"github.com/parley-engine/parley/projections"
)

func dlqCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "dlq", Short: "Look at dead letters: durable commands that could not be handled",
		Long: "Look at dead letters: durable commands that could not be read or kept failing, and\nthose of the same aggregate that wait behind them. Works with and without a server.",
	}
	c.AddCommand(dlqList(), dlqShow(), dlqRedrive(), dlqDiscard())
	return c
}

// shownLetter is a dead letter as the tool shows it.
type shownLetter struct {
	Sequence  uint64              `json:"sequence"`
	Aggregate string              `json:"aggregate"`
	Subject   string              `json:"subject"`
	Code      string              `json:"code"`
	Error     string              `json:"error"`
	Attempts  int                 `json:"attempts"`
	Redriven  int                 `json:"redriven"`
	FirstSeen time.Time           `json:"first_seen"`
	LastSeen  time.Time           `json:"last_seen"`
	Header    map[string][]string `json:"header,omitempty"`
	Data      []byte              `json:"data,omitempty"` // base64: whatever bytes came
}

func shownLetterOf(l bus.DeadLetter) shownLetter {
	return shownLetter{l.Sequence, l.Aggregate, l.Subject, l.Code, l.Error, l.Attempts, l.Redriven, l.FirstSeen, l.LastSeen, l.Header, l.Data}
}

var letterView = view[shownLetter]{
	columns: []string{"sequence", "aggregate", "code", "attempts", "first_seen", "error"},
	cells: func(l shownLetter) []string {
		return []string{fmt.Sprint(l.Sequence), l.Aggregate, l.Code, fmt.Sprint(l.Attempts), stamp(l.FirstSeen), short(l.Error, 60)}
	},
}

// withLetters opens the dead letters of the folder's broker.
func withLetters(ctx context.Context, f folder, use func(*bus.DeadLetters) error) error {
	return withBroker(f, func(conn *nats.Conn) error {
		d, err := bus.OpenDeadLetters(ctx, conn)
		if err != nil {
			return err
		}
		err = use(d)
		if errors.Is(err, bus.ErrNoLetter) {
			return fmt.Errorf("%w: %w", projections.ErrNotFound, err)
		}
		return err
	})
}

// withBroker connects to the broker of the running server, or starts it alone on the
// folder.
func withBroker(f folder, use func(*nats.Conn) error) error {
	if err := withConn(f, use); !errors.Is(err, errNoServer) {
		return err
	}
	server, err := broker.Start(f.path("bus"), nil)
	if err != nil {
		return err
	}
	defer server.Stop()
	conn, err := server.Connect("parley command line", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	return use(conn)
}

func dlqList() *cobra.Command {
	c := &cobra.Command{Use: "list [AGGREGATE]", Short: "List dead letters, oldest first", Args: cobra.MaximumNArgs(1)}
	flags, limit := addReadFlags(c), limitFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return withLetters(c.Context(), folder(*flags.data), func(d *bus.DeadLetters) error {
			aggregate := ""
			if len(args) == 1 {
				aggregate = args[0]
			}
			letters, err := d.List(c.Context(), aggregate, *limit)
			if err != nil {
				return err
			}
			return show(c.OutOrStdout(), *flags.output, letterView, func(yield func(shownLetter) error) error {
				for _, l := range letters {
					if err := yield(shownLetterOf(l)); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	return c
}

func sequence(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, usage("%q is not the sequence of a dead letter", text)
	}
	return n, nil
}

func dlqShow() *cobra.Command {
	c := &cobra.Command{Use: "show SEQUENCE", Short: "Show one dead letter with its original bytes", Args: oneArgument("sequence")}
	data := dataFlag(c)
	raw := c.Flags().Bool("raw", false, "write the original bytes and nothing else")
	c.RunE = func(c *cobra.Command, args []string) error {
		n, err := sequence(args[0])
		if err != nil {
			return err
		}
		return withLetters(c.Context(), folder(*data), func(d *bus.DeadLetters) error {
			letter, err := d.Get(c.Context(), n)
			if err != nil {
				return err
			}
			if *raw {
				_, err := c.OutOrStdout().Write(letter.Data)
				return err
			}
			return printJSON(c.OutOrStdout(), shownLetterOf(letter))
		})
	}
	return c
}

// onLetters is redrive and discard: one letter, or all of an aggregate.
func onLetters(use, shortHelp, done string, one func(*bus.DeadLetters, context.Context, uint64) error, all func(*bus.DeadLetters, context.Context, string) (int, error)) *cobra.Command {
	c := &cobra.Command{Use: use + " SEQUENCE", Short: shortHelp, Args: cobra.MaximumNArgs(1)}
	data := dataFlag(c)
	aggregate := c.Flags().String("aggregate", "", "all letters of this aggregate, in order")
	c.RunE = func(c *cobra.Command, args []string) error {
		if (len(args) == 1) == (*aggregate != "") {
			return usage("either a sequence or --aggregate is needed")
		}
		return withLetters(c.Context(), folder(*data), func(d *bus.DeadLetters) error {
			count := 1
			var err error
			if *aggregate != "" {
				count, err = all(d, c.Context(), *aggregate)
			} else {
				var n uint64
				if n, err = sequence(args[0]); err == nil {
					err = one(d, c.Context(), n)
				}
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s %d\n", done, count)
			return err
		})
	}
	return c
}

func dlqRedrive() *cobra.Command {
	return onLetters("redrive", "Have dead letters handled again, in their order", "redriven",
		(*bus.DeadLetters).Redrive, (*bus.DeadLetters).RedriveAggregate)
}

func dlqDiscard() *cobra.Command {
	return onLetters("discard", "Delete dead letters for good", "discarded",
		(*bus.DeadLetters).Discard, (*bus.DeadLetters).DiscardAggregate)
}
