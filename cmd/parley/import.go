package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/chatimport"
	"github.com/parley-engine/parley/internal/engine"
)

func importCommand() *cobra.Command {
	c := &cobra.Command{Use: "import", Short: "Bring conversations from elsewhere"}
	c.AddCommand(importChat())
	return c
}

// importFlags are those of import chat.
type importFlags struct {
	data, output                            *string
	from, account, publicize, user, tokenIn string
	services                                []string
}

var importView = view[chatimport.Report]{
	columns: []string{"service", "friendly_name", "roles", "users", "conversations", "participants", "messages", "skipped", "refused", "differences"},
	cells: func(r chatimport.Report) []string {
		cells := []string{r.Service, short(r.FriendlyName, 32)}
		for _, kind := range []string{"role", "user", "conversation", "participant", "message"} {
			count := r.Counts[kind]
			cells = append(cells, strconv.Itoa(count.Written+count.Before))
		}
		return append(cells, strconv.Itoa(len(r.Skipped)), strconv.Itoa(len(r.Refused)), strconv.Itoa(len(r.Differences)))
	},
}

func importChat() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use: "chat", Short: "Bring services, users, channels and messages from Programmable Chat v2", Args: noArguments,
		Long: `Bring the data of Twilio's Programmable Chat v2: from its REST API, or from a folder with
the pages it returned. SIDs, indexes and dates stay what they were. A running server does
it; without one it is done on the data folder.

Public channels are left out and listed, or, with --publicize private, become private.
Invites and what only Chat has are left out and listed. Imported conversations have no
timers.

Run again it goes on where it stopped, takes what is new in the source, and changes nothing
else: what an earlier import wrote otherwise is refused and listed. At the end what the log
has is compared with the source; the report is one object for each service. Exit code 7
says that something differs, 4 that something was refused. docs/import.md tells the rest.

For an address the account or API key is --auth-user or TWILIO_ACCOUNT_SID, its secret is
in --auth-token-file or TWILIO_AUTH_TOKEN.`,
		Example: `  parley import chat --from https://chat.twilio.com --auth-user AC… --auth-token-file ./token
  parley import chat --from ./chat --service IS… --publicize private -o json > report.json`,
	}
	f.data, f.output = dataFlag(c), outputFlag(c)
	flags := c.Flags()
	flags.StringVar(&f.from, "from", "", "folder, or https address of the REST API")
	flags.StringVar(&f.account, "account", "", "account SID to import into (default: the folder's)")
	flags.StringSliceVar(&f.services, "service", nil, "only this service, by SID; repeatable (default: all)")
	flags.StringVar(&f.publicize, "publicize", "", "private: import public channels as private conversations")
	flags.StringVar(&f.user, "auth-user", "", "account SID or API key at the address")
	flags.StringVar(&f.tokenIn, "auth-token-file", "", "file with the auth token or the API key's secret")
	c.RunE = func(c *cobra.Command, _ []string) error {
		source, err := f.source()
		if err != nil {
			return err
		}
		var reports []chatimport.Report
		err = f.withTarget(c.Context(), func(target chatimport.Target) (err error) {
			reports, err = chatimport.Run(c.Context(), source, target, chatimport.Options{
				Services: f.services, Publicize: f.publicize != "", Progress: perSecond(c.ErrOrStderr()),
			})
			return err
		})
		switch {
		case errors.Is(err, chatimport.ErrNoService):
			return usage("%v", err)
		case err != nil:
			return fmt.Errorf("the import stopped, and goes on when it is run again: %w", err)
		}
		if err := show(c.OutOrStdout(), *f.output, importView, each(reports)); err != nil {
			return err
		}
		return judge(reports)
	}
	return c
}

// source is what --from names, when all flags fit together.
func (f importFlags) source() (chatimport.Source, error) {
	switch remote := strings.Contains(f.from, "://"); {
	case f.from == "":
		return nil, usage("--from is needed")
	case f.publicize != "" && f.publicize != "private":
		return nil, usage("--publicize %q: private is the only thing a public channel can become", f.publicize)
	case f.account != "" && !domain.IsSID("AC", f.account):
		return nil, usage("--account %q is not an account SID", f.account)
	case !slices.Contains(outputs, *f.output):
		return nil, usage("unknown output format %q: table, json, jsonl or csv", *f.output)
	case !remote:
		info, err := os.Stat(f.from)
		if err != nil || !info.IsDir() {
			return nil, usage("--from %s is neither a folder nor an address", f.from)
		}
		return chatimport.Folder(f.from), nil
	}
	secret := strings.TrimSpace(os.Getenv("TWILIO_AUTH_TOKEN"))
	if f.tokenIn != "" {
		var err error
		if secret, err = secretIn(f.tokenIn); err != nil {
			return nil, fmt.Errorf("--auth-token-file: %w", err)
		}
	}
	source, err := chatimport.NewREST(f.from, cmp.Or(f.user, os.Getenv("TWILIO_ACCOUNT_SID")), secret, chatimport.RESTOptions{})
	if err != nil {
		return nil, usage("--from: %v", err)
	}
	return source, nil
}

var outputs = []string{"", "table", "json", "jsonl", "csv"}

// withTarget hands over the folder's server, or the folder itself if none runs.
func (f importFlags) withTarget(ctx context.Context, use func(chatimport.Target) error) error {
	data, begun := folder(*f.data), false
	account, err := data.knownAccount()
	if err := cmp.Or(data.exists(), err); err != nil {
		return err
	}
	target := chatimport.Target{Account: cmp.Or(f.account, account)}
	if target.Account == "" {
		return usage("%s has no account to import into; --account names one", data)
	}
	err = withConn(data, func(conn *nats.Conn) error {
		begun = true
		client, err := bus.NewClient(conn)
		if err != nil {
			return err
		}
		err = withLog(ctx, string(data), func(log readLog) error {
			target.Log, target.Execute = log, remotely(conn, client)
			return use(target)
		})
		return errors.Join(err, client.Close())
	})
	if begun || !errors.Is(err, errNoServer) {
		return err
	}
	log, err := data.openLog(ctx, nil)
	if err != nil {
		return err
	}
	here := engine.New(log, &engine.Options{DefaultAccount: target.Account})
	target.Log, target.Execute = log, here.Execute
	return errors.Join(use(target), log.Close())
}

// callPatience is how long one call may take before it is made again.
const callPatience = 10 * time.Second

// remotely has commands carried out by a server. One that is gone is not waited for
// with each call.
func remotely(conn *nats.Conn, client *bus.Client) func(context.Context, engine.Command) (engine.Outcome, error) {
	return func(ctx context.Context, command engine.Command) (outcome engine.Outcome, err error) {
		if !conn.IsConnected() {
			return outcome, fmt.Errorf("%w any more", errNoServer)
		}
		if command.Body, err = json.Marshal(command.Fields); err != nil {
			return outcome, err
		}
		ctx, cancel := context.WithTimeout(ctx, callPatience)
		defer cancel()
		return client.Call(ctx, command)
	}
}

// perSecond writes a line about what was done, once a second at most.
func perSecond(w io.Writer) func(map[string]int) {
	last := time.Now()
	return func(counts map[string]int) {
		if time.Since(last) < time.Second {
			return
		}
		last = time.Now()
		fmt.Fprintf(w, "%d users, %d conversations, %d participants, %d messages\n",
			counts["user"], counts["conversation"], counts["participant"], counts["message"])
	}
}

// judge turns what the reports say into the exit code.
func judge(reports []chatimport.Report) error {
	refused, differences := 0, 0
	for _, r := range reports {
		refused, differences = refused+len(r.Refused), differences+len(r.Differences)
	}
	switch {
	case refused > 0:
		return &engine.Failure{Kind: string(domain.AlreadyExists), Code: "import_refused",
			Message: fmt.Sprintf("%d things of the source were refused; the report names them", refused)}
	case differences > 0:
		return fmt.Errorf("%w: %d numbers are not those of the source; the report names them", errDifference, differences)
	}
	return nil
}
