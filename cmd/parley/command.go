package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/engine"
)

func commandCommand() *cobra.Command {
	c := &cobra.Command{Use: "command", Short: "Send commands to a running engine"}
	c.AddCommand(commandSend(), commandTypes())
	return c
}

func commandTypes() *cobra.Command {
	return &cobra.Command{
		Use: "types", Short: "List the commands there are", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, t := range engine.CommandTypes() {
				if _, err := fmt.Fprintln(c.OutOrStdout(), t.Name); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// sendFlags make up a command.
type sendFlags struct {
	data, id, account, service, actor, correlation string
	set                                            []string
	stdin, durable                                 bool
	expect                                         int64
	timeout                                        time.Duration
}

func commandSend() *cobra.Command {
	var f sendFlags
	c := &cobra.Command{
		Use:   "send TYPE [AGGREGATE]",
		Short: "Send one command and wait for its outcome",
		Long: `Send one command over the bus of a running server and wait for the outcome, which
is printed as JSON. A refusal is printed as an error and sets the exit code.

Fields come from --set, as name=value or, for anything but text, name:=JSON, or
as one JSON object on standard input with --stdin. Send a command again with the
same --id to get its first outcome.`,
		Example: `  parley command send conversation.create --set friendly_name=Order --set 'timers:={"inactive":"PT1H"}'
  parley command send conversation.add-message CH… --set author=alice --set body=Hello
  echo '{"body":"Hello"}' | parley command send conversation.add-message CH… --stdin`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usage("a command type and at most one aggregate are needed")
			}
			return nil
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.data, "data", ".parley", "data folder")
	flags.StringVar(&f.id, "id", "", "command id, a UUID (default: a new one)")
	flags.StringVar(&f.account, "account", "", "account SID (default: the folder's)")
	flags.StringVar(&f.service, "service", "", "service SID (default: the account's default service)")
	flags.StringVar(&f.actor, "as", "", "act as KIND or KIND:ID, e.g. user:alice (default: api)")
	flags.StringVar(&f.correlation, "correlation", "", "correlation id for the events' metadata")
	flags.StringArrayVar(&f.set, "set", nil, "a field: name=text or name:=JSON; repeatable")
	flags.BoolVar(&f.stdin, "stdin", false, "read the fields from standard input, a JSON object")
	flags.BoolVar(&f.durable, "durable", false, "use the durable door: the command survives a crash of the server")
	flags.Int64Var(&f.expect, "expect-revision", 0, "refuse unless the stream is at this revision; -1: it must not exist")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "how long to wait for the outcome")
	c.RunE = func(c *cobra.Command, args []string) error {
		command, err := f.command(c, args)
		if err != nil {
			return err
		}
		outcome, err := f.send(c.Context(), command)
		if err != nil {
			return err
		}
		return printJSON(c.OutOrStdout(), outcome)
	}
	return c
}

func (f sendFlags) command(c *cobra.Command, args []string) (engine.Command, error) {
	known := slices.ContainsFunc(engine.CommandTypes(), func(t engine.CommandType) bool { return t.Name == args[0] })
	if !known {
		return engine.Command{}, usage("%q is not a command; see: parley command types", args[0])
	}
	body, err := f.body(c.InOrStdin())
	if err != nil {
		return engine.Command{}, err
	}
	id := events.ID(uuid.New())
	if f.id != "" {
		if id, err = events.ParseID(f.id); err != nil {
			return engine.Command{}, usage("--id: %v", err)
		}
	}
	kind, actorID, _ := strings.Cut(f.actor, ":")
	command := engine.Command{
		ID: id, Type: args[0], Account: f.account, Service: f.service, Body: body, Correlation: f.correlation,
		Actor: events.Actor{Kind: events.ActorKind(kind), ID: actorID},
	}
	if len(args) == 2 {
		command.Aggregate = args[1]
	}
	if c.Flags().Changed("expect-revision") {
		command.ExpectedRevision = &f.expect
	}
	return command, nil
}

const maxStdin = 1 << 20

func (f sendFlags) body(in io.Reader) (json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if f.stdin {
		data, err := io.ReadAll(io.LimitReader(in, maxStdin))
		if err != nil {
			return nil, err
		}
		if len(f.set) == 0 {
			return bytes.TrimSpace(data), nil
		}
		if err := json.Unmarshal(data, &fields); err != nil {
			return nil, usage("standard input is not a JSON object: %v", err)
		}
	}
	for _, assignment := range f.set {
		name, value, ok := strings.Cut(assignment, "=")
		if !ok || name == "" || name == ":" {
			return nil, usage("--set %q: name=text or name:=JSON", assignment)
		}
		if raw, isJSON := strings.CutSuffix(name, ":"); isJSON {
			if !json.Valid([]byte(value)) {
				return nil, usage("--set %s: %q is not JSON", raw, value)
			}
			fields[raw] = json.RawMessage(value)
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		fields[name] = text
	}
	return json.Marshal(fields)
}

func (f sendFlags) send(ctx context.Context, command engine.Command) (outcome engine.Outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	err = withClient(folder(f.data), func(client *bus.Client) error {
		if f.durable {
			outcome, err = client.Send(ctx, command)
		} else {
			outcome, err = client.Call(ctx, command)
		}
		return err
	})
	return outcome, err
}

// withConn connects to the folder's running server.
func withConn(f folder, use func(*nats.Conn) error) error {
	if err := f.exists(); err != nil {
		return err
	}
	e, err := f.running()
	if err != nil {
		return err
	}
	conn, err := e.dial(f, "parley command line")
	if err != nil {
		return fmt.Errorf("%s: %w (%w)", f, errNoServer, err)
	}
	defer conn.Close()
	return use(conn)
}

func withClient(f folder, use func(*bus.Client) error) error {
	return withConn(f, func(conn *nats.Conn) error {
		client, err := bus.NewClient(conn)
		if err != nil {
			return err
		}
		err = errors.Join(use(client), client.Close())
		if errors.Is(err, bus.ErrNoEngine) {
			return fmt.Errorf("%s: %w", f, errNoServer)
		}
		return err
	})
}
