// Command parley is the server, and the operator's and the analyst's tool.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process around it: it returns the exit code.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	keepPrivate()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// A second signal must end the process at once, so ours is heard only once.
	context.AfterFunc(ctx, stop)
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		code = exitInterrupted
	}
	var quiet *quietError
	if !errors.As(err, &quiet) {
		printError(errOut, err)
	}
	return code
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "parley",
		Short:         "An event-sourced conversation state engine",
		Long:          longHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error { return flagsFromEnvironment(c) }
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%v", err) })
	root.AddCommand(
		serveCommand(), demoCommand(), commandCommand(), conversationCommand(), messageCommand(),
		participantCommand(), eventCommand(), projectionCommand(), timerCommand(), busCommand(), dlqCommand(), webhookCommand(),
		deliveryCommand(), inboundCommand(),
		accountCommand(), apiKeyCommand(), storeCommand(), backupCommand(), sqlCommand(), metricCommand(), exportCommand(), importCommand(), replayCommand(), checkCommand(), versionCommand(),
	)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	strict(root)
	return root
}

// strict makes every wrong argument a usage error, which the library's own
// checks do not.
func strict(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usage("%v", err)
			}
			return nil
		}
	}
	if c.Name() == "help" {
		c.Args = knownTopic
	}
	needSubcommand(c)
	for _, child := range c.Commands() {
		strict(child)
	}
}

func knownTopic(c *cobra.Command, args []string) error {
	if _, rest, err := c.Root().Find(args); err != nil || len(rest) > 0 {
		return usage("there is no command %q to help with", strings.Join(args, " "))
	}
	return nil
}

// flagsFromEnvironment gives every flag that was not on the command line the
// value of PARLEY_NAME, if that is set.
func flagsFromEnvironment(c *cobra.Command) (err error) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		name := "PARLEY_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value, set := os.LookupEnv(name); set && !f.Changed && f.Name != "help" && err == nil {
			if setErr := c.Flags().Set(f.Name, value); setErr != nil {
				err = usage("%s: %v", name, setErr)
			}
		}
	})
	return err
}

// needSubcommand makes a noun alone list its verbs, and a noun with an unknown
// verb a usage error.
func needSubcommand(c *cobra.Command) {
	if !c.HasSubCommands() || c.RunE != nil {
		return
	}
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		message := fmt.Sprintf("unknown command %q for %q", args[0], c.CommandPath())
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			message += fmt.Sprintf("; did you mean %q?", near[0])
		}
		return usage("%s", message)
	}
}

const longHelp = `Parley keeps conversations, participants, messages, delivery receipts and read
horizons as events, decides commands that arrive over a message bus or Twilio's own
REST API (under /v1), and moves conversations from active to inactive to closed when
their timers say so.

Start with:
  parley demo                              see the main job, checked step by step
  export PARLEY_DATA=./data                the folder; or --data with every command
  parley serve                             run the engine, and in another terminal:
  parley command send conversation.create --set friendly_name=Order
  parley conversation list

Commands that read work on a data folder whether or not a server runs on it; with one
they wait up to two seconds for what was written just before.

Output: a table on a terminal, one JSON object a line when piped; -o decides.
Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 conflict or failed
precondition, 5 permission, 6 unavailable or timeout, 7 difference found,
130 interrupted. "parley check" uses 0 ok, 1 warning, 2 critical, 3 unknown.

Every flag can be given as PARLEY_NAME in the environment; the flag wins.`

// usageError is a mistake in how the tool was called.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// quietError ends the program with a code after everything was said already.
type quietError struct{ code int }

func (e *quietError) Error() string { return fmt.Sprintf("exit %d", e.code) }
