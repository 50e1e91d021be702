package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

func storeCommand() *cobra.Command {
	c := &cobra.Command{Use: "store", Short: "Copy a log, and check one"}
	c.AddCommand(storeCopy(), storeVerify())
	return c
}

const placesOfLogs = `A log is named by a data folder, or by sqlite:FILE for a log.db anywhere.`

// openReading opens a log that is named on the command line, whoever writes to it.
func openReading(name string) (*sqlitestore.Reader, error) {
	if file, isFile := strings.CutPrefix(name, "sqlite:"); isFile {
		return sqlitestore.OpenReadOnly(file)
	}
	if name == "" {
		return nil, usage("--from is needed")
	}
	if err := folder(name).exists(); err != nil {
		return nil, err
	}
	return sqlitestore.OpenReadOnly(folder(name).log())
}

// openWriting opens a log to copy to. A folder must be new, or one that a copy
// began.
func openWriting(name string) (*sqlitestore.Store, error) {
	if file, isFile := strings.CutPrefix(name, "sqlite:"); isFile {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return nil, err
		}
		return sqlitestore.Open(file, nil)
	}
	if name == "" {
		return nil, usage("--to is needed")
	}
	if err := folder(name).claim(); err != nil {
		return nil, err
	}
	return sqlitestore.Open(folder(name).log(), nil)
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
		Example: "  parley store copy --from ./data --to sqlite:backup/log.db\n  parley store copy --from ./data --to sqlite:backup/log.db --resume",
	}
	from := c.Flags().String("from", "", "log to copy")
	to := c.Flags().String("to", "", "log to copy to")
	resume := c.Flags().Bool("resume", false, "go on with a copy that was begun")
	c.RunE = func(c *cobra.Command, _ []string) error {
		copied, err := copyLog(c.Context(), *from, *to, store.CopyOptions{Resume: *resume, Progress: counted(c.ErrOrStderr())})
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

func copyLog(ctx context.Context, from, to string, o store.CopyOptions) (copied store.Copied, err error) {
	source, err := openReading(from)
	if err != nil {
		return copied, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := openWriting(to)
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
payloads in the log's order. A server may run meanwhile. Exit code 7 says that
something was found.

` + placesOfLogs,
		Example: "  parley store verify --data ./data\n  parley store verify --from sqlite:backup/log.db",
	}
	data, from := dataFlag(c), c.Flags().String("from", "", "log to check (default: that of --data)")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		log, err := openReading(cmp.Or(*from, *data))
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
