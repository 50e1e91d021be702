package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// use is what a part of a data folder takes on disk.
type use struct {
	Part  string `json:"part"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`
	Note  string `json:"note,omitempty"`
}

var useView = view[use]{
	columns: []string{"part", "files", "bytes", "note"},
	cells: func(u use) []string {
		return []string{u.Part, strconv.Itoa(u.Files), strconv.FormatInt(u.Bytes, 10), u.Note}
	},
}

// parts of a data folder by the beginnings of the names in it.
var parts = []struct{ part, name, note string }{
	{"log", "log.db", ""},
	{"read models", "read", "can be made anew"},
	{"snapshots", "snapshots.db", "can be made anew"},
	{"metrics", "metrics", "metrics.db can be computed again"},
	{"broker", "bus", "commands not handled yet, dead letters, published events"},
	{"media", "media", ""},
	{"reactors", "reactors", "what is to be done outside, and what was"},
	{"other", "", "account, secrets and whatever else is there"},
}

func storeUsage() *cobra.Command {
	c := &cobra.Command{
		Use: "usage", Short: "Report what a data folder takes on disk", Args: noArguments,
		Long: `Report what the parts of a data folder take on disk, in bytes as the files' lengths say, and
how long the log is. A server may run meanwhile. The log only grows: nothing in it is ever
removed.`,
		Example: "  parley store usage --data ./data -o table",
	}
	flags := addReadFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		f := folder(*flags.data)
		if err := f.exists(); err != nil {
			return err
		}
		list, err := f.usage()
		if err != nil {
			return err
		}
		if list[0].Note, err = f.lengthOfLog(c.Context()); err != nil {
			return err
		}
		return show(c.OutOrStdout(), *flags.output, useView, each(list))
	}
	return c
}

// usage measures all parts, and their sum.
func (f folder) usage() ([]use, error) {
	list := make([]use, len(parts)+1)
	for i, p := range parts {
		list[i] = use{Part: p.part, Note: p.note}
	}
	total := &list[len(parts)]
	total.Part = "total"
	err := filepath.WalkDir(string(f), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return ignoreMissing(err) // gone meanwhile
		}
		info, err := d.Info()
		if err != nil {
			return ignoreMissing(err)
		}
		within, err := filepath.Rel(string(f), path)
		part := &list[partOf(within)]
		for _, u := range []*use{part, total} {
			u.Files, u.Bytes = u.Files+1, u.Bytes+info.Size()
		}
		return err
	})
	return list, err
}

// partOf is the part that a file belongs to; the last one is for the others.
func partOf(within string) int {
	first, _, _ := strings.Cut(filepath.ToSlash(within), "/")
	for i, p := range parts {
		if strings.HasPrefix(first, p.name) {
			return i
		}
	}
	return len(parts) - 1
}

// lengthOfLog says how many events there are at most.
func (f folder) lengthOfLog(ctx context.Context) (note string, err error) {
	log, err := f.openReading(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	head, err := log.Head(ctx)
	return "up to position " + head.String(), err
}
