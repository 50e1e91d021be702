package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/export"
)

func exportCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "export", Short: "Write events as Parquet, JSON lines or CSV", Args: noArguments,
		Long: `Write events as tables for analysts, in a folder for each service and day: one wide table,
a row for each event, its payload as JSON in data, and one typed table for each type of
event, the fields of its payload as columns. Events of a former version are in the table of
today's. manifest.json has every file with its size and SHA-256, and is written last: a
folder without one is half an export. The same part of the log comes out the same, byte for
byte. A server may run meanwhile: what the log has at the beginning is written.

An export that was killed or met a full disk goes on with --resume and the same flags:
files that are made are not made again, and the result is the same, byte for byte. It is
refused (exit code 7) where flags, version or log are not those that it began with. Without
--resume the next export there begins anew.

--from and --to are positions or times, inclusive; a day is its beginning in UTC. --type
takes former versions too; a type of today brings its former versions with it.

--anonymise puts pseudonyms in place of identities, addresses, authors, unique names and
correlation ids, the same one for the same text, and leaves out bodies, attributes,
subjects, media, friendly names and secrets. Exports made with one --key have the same
pseudonyms; without it the key is forgotten.`,
		Example: `  parley export --format parquet --out ./history
  parley export --format parquet --out ./history --resume
  parley export --format csv --out ./november --from 2026-11-01 --to 2026-12-01 --tables typed --type conversation.message-added.v1
  parley export --out ./shareable --anonymise --key ./pseudonyms.key
  parley export verify ./history`,
	}
	data := dataFlag(c)
	wanted := exportFlags(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		o, err := wanted()
		if err != nil {
			return err
		}
		o.Resumed = func(behind events.Position, files int) {
			fmt.Fprintf(c.ErrOrStderr(), "going on behind position %s, with %d files made\n", behind, files)
		}
		return withLog(c.Context(), *data, func(log readLog) error {
			m, err := exported(c.Context(), log, o)
			if err != nil {
				return err
			}
			return printJSON(c.OutOrStdout(), m)
		})
	}
	c.AddCommand(exportVerify())
	return c
}

// exportFlags returns what reads the flags once they are there.
func exportFlags(f *pflag.FlagSet) func() (export.Options, error) {
	format := f.String("format", string(export.Parquet), "parquet, jsonl or csv")
	tables := f.StringSlice("tables", []string{string(export.WideTable), string(export.TypedTables)}, "which tables: wide, typed or both")
	dir := f.String("out", "", "folder to write to: new, or empty")
	from := f.String("from", "", "the first position or time")
	to := f.String("to", "", "the last position or time")
	types := f.StringSlice("type", nil, "only this type, e.g. conversation.message-added.v1")
	service := f.String("service", "", "only events of this service")
	conversation := f.String("conversation", "", "only this conversation, by SID")
	anonymous := f.Bool("anonymise", false, "pseudonyms for persons, and no content")
	key := f.String("key", "", fmt.Sprintf("file with the key of the pseudonyms, %d bytes at least", leastKey))
	resume := f.Bool("resume", false, "go on with an export that was cut short")
	return func() (o export.Options, err error) {
		o = export.Options{Format: export.Format(*format), Dir: *dir, Version: thisBuild().Version, Service: *service, Resume: *resume}
		if *conversation != "" {
			o.Filter.StreamPrefixes = []string{events.Stream(events.CategoryConversation, *conversation)}
		}
		switch {
		case !o.Format.Known():
			return o, usage("--format %q: parquet, jsonl or csv", *format)
		case *dir == "":
			return o, usage("--out is needed")
		case *resume && *anonymous && *key == "":
			return o, usage("--resume with --anonymise needs the --key that it began with")
		}
		if o.Tables, err = tablesNamed(*tables); err != nil {
			return o, err
		}
		if o.Filter.Types, err = typesNamed(*types); err != nil {
			return o, err
		}
		if err := anonymiseBy(&o, *anonymous, *key); err != nil {
			return o, err
		}
		return o, bounds(&o, *from, *to)
	}
}

func exported(ctx context.Context, log readLog, o export.Options) (*export.Manifest, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return nil, err
	}
	if o.From.Compare(head) > 0 || o.To.Compare(head) > 0 {
		return nil, usage("--from and --to are not beyond the end of the log, %s", head)
	}
	m, err := export.Run(ctx, log, o)
	switch {
	case errors.Is(err, export.ErrNotEmpty):
		return nil, usage("%v", err)
	case errors.Is(err, export.ErrAnother):
		return nil, fmt.Errorf("%w: %w", errDifference, err)
	}
	return m, err
}

// tablesNamed are kinds of tables, in one order.
func tablesNamed(names []string) (list []export.Table, err error) {
	known := []export.Table{export.WideTable, export.TypedTables}
	for _, name := range names {
		if !slices.Contains(known, export.Table(name)) {
			return nil, usage("--tables %q: wide, typed or both", name)
		}
	}
	for _, t := range known {
		if slices.Contains(names, string(t)) {
			list = append(list, t)
		}
	}
	if len(list) == 0 {
		return nil, usage("--tables: wide, typed or both")
	}
	return list, nil
}

// typesNamed are types of events as they are stored: those of today with their former
// versions.
func typesNamed(names []string) (list []string, err error) {
	for _, name := range names {
		if _, known := events.Vocabulary().Zero(events.CurrentType(name)); !known {
			return nil, usage("--type %q: there is no such type; docs/events.md has them", name)
		}
		list = append(list, name)
		for _, former := range events.FormerTypes() {
			if events.CurrentType(former) == name {
				list = append(list, former)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

func exportVerify() *cobra.Command {
	return &cobra.Command{
		Use: "verify DIR", Short: "Compare the files of an export with its manifest", Args: cobra.ExactArgs(1),
		Long: `Read every file of an export and compare it with the manifest. Files that are missing,
changed or additional are listed (exit code 7). A folder without a manifest is no export,
or one that was cut short.`,
		Example: "  parley export verify ./history",
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := os.Stat(args[0]); err != nil {
				return usage("%v", err)
			}
			v, err := export.Verify(args[0])
			if errors.Is(err, export.ErrNoManifest) {
				return fmt.Errorf("%w: %w", errDifference, err)
			}
			if err != nil {
				return err
			}
			if err := printJSON(c.OutOrStdout(), v); err != nil {
				return err
			}
			if n := len(v.Problems); n > 0 {
				return fmt.Errorf("%w: %d files", errDifference, n)
			}
			return nil
		},
	}
}

func anonymiseBy(o *export.Options, wanted bool, key string) error {
	if !wanted {
		if key != "" {
			return usage("--key is for --anonymise")
		}
		return nil
	}
	p, err := newPseudonyms(key)
	o.Anonymise, o.Pseudonyms = p.event, hex.EncodeToString(p.code("")[:8])
	return err
}

func bounds(o *export.Options, from, to string) error {
	if from != "" {
		p, err := parsePoint("--from", from)
		if err != nil {
			return err
		}
		o.From, o.FromTime = p.position, p.time
	}
	if to != "" {
		p, err := parsePoint("--to", to)
		if err != nil {
			return err
		}
		o.To, o.ToTime = p.position, p.time
	}
	return nil
}
