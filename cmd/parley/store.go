package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/store"
)

func storeCommand() *cobra.Command {
	c := &cobra.Command{Use: "store", Short: "Copy a log to another database, check one, and tell what it takes"}
	c.AddCommand(storeCopy(), storeVerify(), storeUsage())
	return c
}

const placesOfLogs = `A log is named by a data folder, by sqlite:FILE for a log.db anywhere, or by the
address of an EventStoreDB or KurrentDB: esdb://host:2113 or
esdb+discover://host:2113, with a file of user:password beside it.`

// location is a log as it is named on the command line.
type location struct {
	name, credentials, prefix *string
}

func addLocation(c *cobra.Command, flag, what string) location {
	f := c.Flags()
	return location{
		name:        f.String(flag, "", what),
		credentials: f.String(flag+"-credentials-file", "", "file with user:password for --"+flag),
		prefix:      f.String(flag+"-prefix", "", "prefix of Parley's streams in --"+flag),
	}
}

// remote returns the database that is named, nil when it is a file or folder.
func (l location) remote(flag string) (*remote, error) {
	if !strings.Contains(*l.name, "://") {
		if *l.credentials != "" || *l.prefix != "" {
			return nil, usage("--%s-credentials-file and --%s-prefix are for a database", flag, flag)
		}
		return nil, nil
	}
	if err := checkRemote("--"+flag, *l.name); err != nil {
		return nil, usage("%v", err)
	}
	return &remote{URL: *l.name, Credentials: *l.credentials, Prefix: *l.prefix}, nil
}

func (l location) reading(ctx context.Context, flag string) (readLog, error) {
	at, err := l.remote(flag)
	switch file, isFile := strings.CutPrefix(*l.name, "sqlite:"); {
	case err != nil:
		return nil, err
	case at != nil:
		return at.open(ctx, nil)
	case isFile:
		return openFileReading(file)
	case *l.name == "":
		return nil, usage("--%s is needed", flag)
	}
	if err := folder(*l.name).exists(); err != nil {
		return nil, err
	}
	return folder(*l.name).openReading(ctx)
}

// writing opens a log to copy to. A folder must be new, or one that a copy began.
func (l location) writing(ctx context.Context, flag string) (store.Log, error) {
	at, err := l.remote(flag)
	switch file, isFile := strings.CutPrefix(*l.name, "sqlite:"); {
	case err != nil:
		return nil, err
	case at != nil:
		return at.open(ctx, nil)
	case isFile:
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return nil, err
		}
		return openFile(file, nil)
	case *l.name == "":
		return nil, usage("--%s is needed", flag)
	}
	if err := folder(*l.name).claim(false); err != nil {
		return nil, err
	}
	return folder(*l.name).openLog(ctx, nil)
}

func storeCopy() *cobra.Command {
	c := &cobra.Command{
		Use: "copy", Short: "Copy a log, in its order, and compare", Args: noArguments,
		Long: `Copy a log with the same streams, revisions, ids, metadata and payloads, in the same
order. Positions and recorded times are those of the log that is written to. What is
copied is what the log has now; a server may run on it. Nothing else may write to the
copy. At the end the copy is read and its digest compared.

Cut short anywhere it goes on with --resume, which also takes over what has been added
since an earlier copy.

` + placesOfLogs + `

Account and secrets of a data folder are files, not events: a node on the copy needs
the folder's account and secrets as well.`,
		Example: "  parley store copy --from ./data --to esdb+discover://db.example.com:2113 --to-credentials-file ./db-user\n  parley store copy --from 'esdb://127.0.0.1:2113?tls=false' --to sqlite:backup/log.db --resume",
	}
	from, to := addLocation(c, "from", "log to copy"), addLocation(c, "to", "log to copy to")
	resume := c.Flags().Bool("resume", false, "go on with a copy that was begun")
	c.RunE = func(c *cobra.Command, _ []string) error {
		copied, err := copyLog(c.Context(), from, to, store.CopyOptions{Resume: *resume, Progress: counted(c.ErrOrStderr())})
		switch {
		case errors.Is(err, store.ErrNotEmpty):
			return usage("%v; --resume goes on with a copy that was begun", err)
		case errors.Is(err, store.ErrDiffers):
			return fmt.Errorf("%w: %w", errDifference, err)
		case err != nil:
			return err
		}
		return printJSON(c.OutOrStdout(), copied)
	}
	return c
}

func copyLog(ctx context.Context, from, to location, o store.CopyOptions) (copied store.Copied, err error) {
	source, err := from.reading(ctx, "from")
	if err != nil {
		return copied, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := to.writing(ctx, "to")
	if err != nil {
		return copied, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	return store.Copy(ctx, source, target, o)
}

// counted says now and then how many events there were.
func counted(w io.Writer) func(events int) {
	const step = 100_000
	return func(events int) {
		if events%step == 0 {
			fmt.Fprintf(w, "%d events\n", events)
		}
	}
}

func storeVerify() *cobra.Command {
	c := &cobra.Command{
		Use: "verify", Short: "Read a whole log and check that it is sound", Args: noArguments,
		Long: `Read a whole log and check that positions rise, recorded times never fall, revisions
are dense in every stream, no event id is there twice, and every payload can be read.
The digest is that of any copy: of streams, revisions, ids, types, metadata and
payloads in the log's order. Of a log in a file the structure of its pages is checked as
well; what is changed within an event's data is not seen. A server may run meanwhile. Exit
code 7 says that something was found.

` + placesOfLogs,
		Example: "  parley store verify --data ./data\n  parley store verify --from 'esdb://127.0.0.1:2113?tls=false'",
	}
	data, from := dataFlag(c), addLocation(c, "from", "log to check (default: that of --data)")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if *from.name == "" {
			*from.name = *data
		}
		log, err := from.reading(c.Context(), "from")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, log.Close()) }()
		report, err := store.Verify(c.Context(), log, counted(c.ErrOrStderr()))
		if err != nil {
			return err
		}
		if err := printJSON(c.OutOrStdout(), report); err != nil {
			return err
		}
		if n := len(report.Problems) + report.More; n > 0 {
			return fmt.Errorf("%w: %d problems", errDifference, n)
		}
		return nil
	}
	return c
}
