package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
)

func projectionCommand() *cobra.Command {
	c := &cobra.Command{Use: "projection", Short: "Look at read models and rebuild them"}
	c.AddCommand(projectionList(), projectionDescribe(), projectionRebuild(), projectionPause(), projectionResume(), projectionCancel(),
		projectionRollback(), projectionRefold(), projectionDrift(), projectionQuarantine())
	return c
}

// shownProjection is how far a projection is.
type shownProjection struct {
	Name     string          `json:"name"`
	Version  int             `json:"version"`
	Position events.Position `json:"position"`
	Head     events.Position `json:"head"`
	Behind   int             `json:"behind"` // events
}

var projectionView = view[shownProjection]{
	columns: []string{"name", "version", "position", "head", "behind"},
	cells: func(p shownProjection) []string {
		return []string{p.Name, fmt.Sprint(p.Version), p.Position.String(), p.Head.String(), fmt.Sprint(p.Behind)}
	},
}

func projectionList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List projections and how far they are", Args: noArguments}
	flags := addReadFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withReading(c.Context(), *flags.data, func(r *reading) error {
			p, err := r.projection(c.Context())
			if err != nil {
				return err
			}
			return showOne(c.OutOrStdout(), *flags.output, projectionView, p)
		})
	}
	return c
}

func (r *reading) projection(ctx context.Context) (shownProjection, error) {
	p := shownProjection{Name: projections.Name, Version: projections.Version}
	var err error
	if p.Position, err = r.queries.Position(ctx); err != nil {
		return p, err
	}
	if p.Head, err = r.log.Head(ctx); err != nil {
		return p, err
	}
	// Positions have gaps, so what is behind is counted, not subtracted.
	for _, err := range r.log.ReadAll(ctx, p.Position, store.Filter{}) {
		if err != nil {
			return p, err
		}
		p.Behind++
	}
	return p, nil
}

// describedProjection is everything about a projection.
type describedProjection struct {
	shownProjection
	projections.Generations
	Rebuild *projections.RebuildStatus `json:"rebuild,omitempty"`
}

func projectionDescribe() *cobra.Command {
	c := &cobra.Command{
		Use: "describe NAME", Short: "Show a projection's generations, and the rebuild that runs or waits", Args: oneArgument("projection"),
		Example: "  parley projection describe " + projections.Name,
	}
	data := dataFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := knownProjection(args[0]); err != nil {
			return err
		}
		return withReading(c.Context(), *data, func(r *reading) error {
			var d describedProjection
			var err error
			if d.shownProjection, err = r.projection(c.Context()); err != nil {
				return err
			}
			if d.Generations, err = projections.GenerationsIn(r.folder.read()); err != nil {
				return err
			}
			if d.Rebuild, err = r.rebuildStatus(c.Context()); err != nil {
				return err
			}
			return printJSON(c.OutOrStdout(), d)
		})
	}
	return c
}

// rebuildStatus asks the running server, or looks at what is on disk.
func (r *reading) rebuildStatus(ctx context.Context) (status *projections.RebuildStatus, err error) {
	err = operateByServer(ctx, r.folder, operation{action: actionDescribe}, func(s operationStep) { status = s.Status })
	if errors.Is(err, errNoServer) {
		return projections.Unfinished(r.folder.read())
	}
	return status, err
}

func knownProjection(name string) error {
	if name != projections.Name {
		return fmt.Errorf("%w: there is no projection %q; there is %q", projections.ErrNotFound, name, projections.Name)
	}
	return nil
}

// projectionDrift looks only, so it needs no server and disturbs none.
func projectionDrift() *cobra.Command {
	c := &cobra.Command{
		Use: "drift [CONVERSATION…]", Short: "Compare conversations' rows with what their events come to",
		Long: `Fold conversations anew and compare the rows with the live ones, at the same
position of the log: those named, or the newest ones. Before that pages and indexes
of the whole file are checked. Exit code 7 says that some
differ; "parley projection refold" makes their rows anew. A running server does the
same all the time, slowly: see --drift-check of "parley serve".`,
		Example: "  parley projection drift order-1042\n  parley projection drift --limit 0 -o json",
	}
	flags := addReadFlags(c)
	limit := c.Flags().Int("limit", 100, "conversations to compare when none is named; 0 = all")
	service := serviceFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return withReading(c.Context(), *flags.data, func(r *reading) error {
			each := func(compare func(sid string) error) error {
				return r.toCompare(c.Context(), *service, args, *limit, compare)
			}
			return r.drift(c, each, *flags.output)
		})
	}
	return c
}

var driftView = view[projections.Drift]{
	columns: []string{"conversation", "position", "row", "column", "live", "refolded"},
	cells: func(d projections.Drift) []string {
		first := d.Rows[0]
		row := []string{d.Conversation, d.Position.String(), first.Table + " " + first.Sid, "", "there", "not there"}
		switch first.Only {
		case projections.OnlyRebuilt:
			row[4], row[5] = row[5], row[4]
		case "":
			row[3], row[4], row[5] = first.Columns[0].Column, cell(first.Columns[0].Live), cell(first.Columns[0].Rebuilt)
		}
		return row
	},
}

// drift shows the conversations that differ.
func (r *reading) drift(c *cobra.Command, each func(compare func(sid string) error) error, output string) error {
	checked, differ := 0, 0
	whole, err := r.queries.Integrity(c.Context())
	if err != nil {
		return err
	}
	if len(whole.Damage) > 0 {
		return fmt.Errorf("%w: pages or indexes of the read models are damaged: %s; parley projection rebuild %s makes them anew", errDifference, strings.Join(whole.Damage, "; "), projections.Name)
	}
	err = show(c.OutOrStdout(), output, driftView, func(yield func(projections.Drift) error) error {
		return each(func(sid string) error {
			d, err := r.queries.Drift(c.Context(), r.log, sid)
			if checked++; err != nil || len(d.Rows) == 0 {
				return err
			}
			differ++
			return yield(*d)
		})
	})
	if err == nil {
		fmt.Fprintf(c.ErrOrStderr(), "%d of %d conversations differ\n", differ, checked)
	}
	if err == nil && differ > 0 {
		err = &quietError{exitDifference}
	}
	return err
}

func (r *reading) toCompare(ctx context.Context, service string, names []string, limit int, compare func(sid string) error) error {
	if len(names) == 0 {
		filter := projections.ConversationFilter{Service: r.in(service)}
		return pages(limit, func(p projections.Page) (projections.List[projections.Conversation], error) {
			return r.queries.Conversations(ctx, filter, p)
		}, func(c projections.Conversation) error { return compare(c.Sid) })
	}
	for _, name := range names {
		sid, err := r.sidOf(ctx, service, name)
		if err == nil {
			err = compare(sid)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
