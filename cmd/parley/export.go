package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/export"
)

func exportCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "export", Short: "Write events as Parquet, JSON lines or CSV", Args: noArguments,
		Long: `Write events as one wide table: a row for each event, its payload as JSON in data, in a
folder for each service and day, with a manifest.json that is written last. A folder
without one is half an export; the next export there begins anew. The same part of the log
comes out the same, byte for byte. A server may run meanwhile: what the log has at the
beginning is written.

--from and --to are positions or times, inclusive; a day is its beginning in UTC.

--anonymise puts pseudonyms in place of identities, addresses, authors, unique names and
correlation ids, the same one for the same text, and leaves out bodies, attributes,
subjects, media, friendly names and secrets. Exports made with one --key have the same
pseudonyms; without it the key is forgotten.`,
		Example: `  parley export --format parquet --out ./history
  parley export --format csv --out ./november --from 2026-11-01 --to 2026-12-01 --type conversation.message-added.v1
  parley export --out ./shareable --anonymise --key ./pseudonyms.key`,
	}
	data := dataFlag(c)
	f := c.Flags()
	format := f.String("format", string(export.Parquet), "parquet, jsonl or csv")
	dir := f.String("out", "", "folder to write to: new, or empty")
	from := f.String("from", "", "the first position or time")
	to := f.String("to", "", "the last position or time")
	types := f.StringSlice("type", nil, "only this type, e.g. conversation.message-added.v1")
	service := f.String("service", "", "only events of this service")
	conversation := f.String("conversation", "", "only this conversation, by SID")
	anonymous := f.Bool("anonymise", false, "pseudonyms for persons, and no content")
	key := f.String("key", "", fmt.Sprintf("file with the key of the pseudonyms, %d bytes at least", leastKey))
	c.RunE = func(c *cobra.Command, _ []string) error {
		o := export.Options{Format: export.Format(*format), Dir: *dir, Version: thisBuild().Version, Service: *service}
		o.Filter.Types = *types
		if *conversation != "" {
			o.Filter.StreamPrefixes = []string{events.Stream(events.CategoryConversation, *conversation)}
		}
		switch {
		case !o.Format.Known():
			return usage("--format %q: parquet, jsonl or csv", *format)
		case *dir == "":
			return usage("--out is needed")
		}
		if err := anonymiseBy(&o, *anonymous, *key); err != nil {
			return err
		}
		for _, name := range *types {
			if _, known := events.Vocabulary().Zero(name); !known {
				return usage("--type %q: there is no such type; docs/events.md has them", name)
			}
		}
		if err := bounds(&o, *from, *to); err != nil {
			return err
		}
		return withLog(c.Context(), *data, func(log readLog) error {
			head, err := log.Head(c.Context())
			if err != nil {
				return err
			}
			if o.From.Compare(head) > 0 || o.To.Compare(head) > 0 {
				return usage("--from and --to are not beyond the end of the log, %s", head)
			}
			m, err := export.Run(c.Context(), log, o)
			if errors.Is(err, export.ErrNotEmpty) {
				return usage("%v", err)
			}
			if err != nil {
				return err
			}
			return printJSON(c.OutOrStdout(), m)
		})
	}
	return c
}

func anonymiseBy(o *export.Options, wanted bool, key string) error {
	if !wanted {
		if key != "" {
			return usage("--key is for --anonymise")
		}
		return nil
	}
	p, err := newPseudonyms(key)
	o.Anonymise = p.event
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
