package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/projections"
)

// reading is a data folder opened for looking only, whether or not a server
// runs on it.
type reading struct {
	folder  folder
	log     readLog
	queries *projections.Queries
	service string // the default service of the folder's account
}

// readFlags are the flags of every command that reads.
type readFlags struct {
	data   *string
	output *string
}

func addReadFlags(c *cobra.Command) readFlags {
	return readFlags{data: dataFlag(c), output: outputFlag(c)}
}

// withReading opens the folder, looks, and closes it again.
func withReading(ctx context.Context, data string, look func(*reading) error) (err error) {
	r := &reading{folder: folder(data)}
	if err := r.folder.exists(); err != nil {
		return err
	}
	if r.log, err = r.folder.openReading(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.log.Close()) }()
	if r.queries, err = projections.OpenReadOnly(r.folder.read()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.queries.Close()) }()
	r.catchUp(ctx)
	sid, err := r.folder.knownAccount()
	if err != nil {
		return err
	}
	account, err := r.queries.Account(ctx, sid)
	if err != nil && !errors.Is(err, projections.ErrNotFound) {
		return r.folder.within(err)
	}
	r.service = account.DefaultChatServiceSid
	return r.folder.within(look(r))
}

// readPatience bounds how long a read waits for a server's read models.
const readPatience = 2 * time.Second

// catchUp gives the read models of a running server a moment to get to what the
// log has, so that a read sees the command before it. That they do not is no
// error: a read is of what is there. They are opened again each time, because what
// moves may be another generation: a first start fills one, and a rebuild swaps.
func (r *reading) catchUp(ctx context.Context) {
	if _, err := r.folder.running(); err != nil {
		return // nobody moves them
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	head, err := r.log.Head(ctx)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for err == nil {
		position, failed := r.queries.Position(ctx)
		if failed != nil || position.Compare(head) >= 0 {
			return
		}
		select {
		case <-tick.C:
			err = r.reopen()
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
}

// reopen looks at the generation that is live now. One that cannot be opened, for
// instance because it is just being swapped, leaves the former in place.
func (r *reading) reopen() error {
	fresh, err := projections.OpenReadOnly(r.folder.read())
	if err != nil {
		return nil //nolint:nilerr // the next look may find it
	}
	former := r.queries
	r.queries = fresh
	return former.Close()
}

// pages walks a list to its end or to limit rows; limit 0 means all.
func pages[R any](limit int, fetch func(projections.Page) (projections.List[R], error), yield func(R) error) error {
	page := projections.Page{Limit: 500}
	for given := 0; ; {
		list, err := fetch(page)
		if err != nil {
			return err
		}
		for _, row := range list.Items {
			if given++; limit > 0 && given > limit {
				return nil
			}
			if err := yield(row); err != nil {
				return err
			}
		}
		if !list.More {
			return nil
		}
		page.After = list.Last
	}
}

func limitFlag(c *cobra.Command) *int {
	return c.Flags().Int("limit", 0, "show at most this many; 0 shows all")
}

func serviceFlag(c *cobra.Command) *string {
	return c.Flags().String("service", "", "service SID (default: the default service of the folder's account)")
}

func (r *reading) in(service string) string {
	if service != "" {
		return service
	}
	return r.service
}

func oneArgument(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage("exactly one %s is needed", name)
		}
		return nil
	}
}

// short cuts a text for a cell of a table.
func short(text string, width int) string {
	runes := []rune(strings.ReplaceAll(text, "\n", " "))
	if len(runes) <= width {
		return string(runes)
	}
	return string(runes[:width-1]) + "…"
}
