package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/projections/metric"
)

func metricCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "metric", Short: "Compute figures over all history, old and new definitions side by side",
		Long: `Compute figures such as first response or time in state over all history. A definition
is a query over the views of "parley sql" and has a version: NAME.vN. Those that come
with Parley are joined by yours, files NAME.vN.sql in the folder metrics of the data
folder, whose first line is "-- what it is" and whose columns are subject, service, label
and value. A changed definition is another version; figures of both are kept.`,
	}
	c.AddCommand(metricList(), metricCompute(), metricShow(), metricDiff())
	return c
}

func (f folder) metrics() string { return f.path("metrics.db") }

// definitions are the metrics that there are: ours and the folder's own.
func (f folder) definitions() ([]metric.Definition, error) {
	list, err := metric.BuiltIn()
	if err != nil {
		return nil, err
	}
	own, err := metric.Read(os.DirFS(f.path("metrics")))
	if errors.Is(err, fs.ErrNotExist) {
		return list, nil
	}
	for _, d := range own {
		if _, taken := metric.Find(list, d.ID()); taken == nil {
			return nil, fmt.Errorf("%w: %s is there already; a changed definition is another version", metric.ErrDefinition, d.ID())
		}
	}
	return append(list, own...), err
}

// shownMetric is a definition, and of which history there are figures.
type shownMetric struct {
	metric.Definition
	Computed *metric.Computed `json:"computed,omitempty"`
	Outdated bool             `json:"outdated,omitempty"` // the file has changed since
}

var metricView = view[shownMetric]{
	columns: []string{"metric", "position", "computed", "rows", "about"},
	cells: func(m shownMetric) []string {
		row := []string{m.ID(), "", "", "", short(m.About, 80)}
		if c := m.Computed; c != nil {
			row[1], row[2], row[3] = c.Position.String(), c.At.Format(time.RFC3339), strconv.FormatInt(c.Rows, 10)
		}
		if m.Outdated {
			row[2] += " (changed since)"
		}
		return row
	},
}

// withMetrics opens what was computed on the folder.
func withMetrics(f folder, look func(*metric.Figures, []metric.Definition) error) error {
	if err := f.exists(); err != nil {
		return err
	}
	list, err := f.definitions()
	if err != nil {
		return err
	}
	figures, err := metric.Open(f.metrics())
	if err != nil {
		return err
	}
	return errors.Join(look(figures, list), figures.Close())
}

func metricList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List definitions, and what was computed", Args: noArguments, Example: "  parley metric list"}
	flags := addReadFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withMetrics(folder(*flags.data), func(f *metric.Figures, list []metric.Definition) error {
			computed, err := f.List()
			if err != nil {
				return err
			}
			return show(c.OutOrStdout(), *flags.output, metricView, each(shownMetrics(list, computed)))
		})
	}
	return c
}

func shownMetrics(list []metric.Definition, computed []metric.Computed) []shownMetric {
	shown := make([]shownMetric, 0, len(list))
	for _, d := range list {
		m := shownMetric{Definition: d}
		for i := range computed {
			if computed[i].ID() == d.ID() {
				m.Computed, m.Outdated = &computed[i], computed[i].SHA256 != d.SHA256
			}
		}
		shown = append(shown, m)
	}
	return shown
}

func metricCompute() *cobra.Command {
	c := &cobra.Command{
		Use: "compute [METRIC…]", Short: "Compute metrics over the history, all unless some are named",
		Long: `Compute metrics over the history from its beginning to its end, or to --upto, and keep
the figures. A name without a version stands for all its versions. The same version over
the same history gives the same figures, which "digest" shows.`,
		Example: "  parley metric compute\n  parley metric compute first_response.v2 --upto 1042",
	}
	flags := addReadFlags(c)
	upto := c.Flags().String("upto", "", "end the history at this position (default: the end of the log)")
	limit := c.Flags().Duration("timeout", 0, "how long it may take; 0 is as long as it takes")
	c.RunE = func(c *cobra.Command, args []string) error {
		ctx, cancel := c.Context(), context.CancelFunc(func() {})
		if *limit > 0 {
			ctx, cancel = context.WithTimeout(ctx, *limit)
		}
		defer cancel()
		return withMetrics(folder(*flags.data), func(f *metric.Figures, list []metric.Definition) error {
			list, err := metric.Find(list, args...)
			if err != nil {
				return notFound(err)
			}
			return show(c.OutOrStdout(), *flags.output, computedView, func(yield func(metric.Computed) error) error {
				return compute(ctx, folder(*flags.data), f, list, *upto, yield)
			})
		})
	}
	return c
}

var computedView = view[metric.Computed]{
	columns: []string{"metric", "position", "rows", "digest", "seconds"},
	cells: func(c metric.Computed) []string {
		return []string{c.ID(), c.Position.String(), fmt.Sprint(c.Rows), fmt.Sprintf("%016x", c.Digest), fmt.Sprintf("%.1f", c.Took.Seconds())}
	},
}

// notFound says of a name that there is nothing of the kind.
func notFound(err error) error {
	if errors.Is(err, metric.ErrUnknown) || errors.Is(err, metric.ErrNotComputed) {
		return fmt.Errorf("%w: %w", projections.ErrNotFound, err)
	}
	return err
}

func compute(ctx context.Context, f folder, figures *metric.Figures, list []metric.Definition, upto string, yield func(metric.Computed) error) error {
	position, err := f.historyEnd(ctx, upto)
	if err != nil {
		return err
	}
	log, err := filepath.Abs(f.log())
	if err != nil {
		return err
	}
	history, err := projections.OpenSQLAt(f.read(), log, position)
	if err != nil {
		return f.within(err)
	}
	for _, d := range list {
		var c metric.Computed
		if c, err = figures.Compute(ctx, d, history, position); err == nil {
			err = yield(c)
		}
		if err != nil {
			break
		}
	}
	if bad := new(projections.BadSQLError); errors.As(err, &bad) {
		err = usage("%v", err)
	}
	return errors.Join(f.within(err), history.Close())
}

// historyEnd is the head of the log, or an earlier position.
func (f folder) historyEnd(ctx context.Context, upto string) (end events.Position, err error) {
	if _, err := os.Stat(f.log()); err != nil {
		return end, fmt.Errorf(`the log is in a database: make a copy first (parley store copy): %w`, err)
	}
	err = withReading(ctx, string(f), func(r *reading) error {
		end, err = r.log.Head(ctx)
		return err
	})
	if err != nil || upto == "" {
		return end, err
	}
	wanted, err := events.ParsePosition(upto)
	switch {
	case err != nil:
		return end, usage("--upto %q is no position", upto)
	case wanted.Compare(end) > 0:
		return end, usage("--upto %s: the log ends at %s", upto, end)
	}
	return wanted, nil
}

func metricShow() *cobra.Command {
	c := &cobra.Command{
		Use: "show METRIC", Short: "Show a metric's figures, summed up by label", Args: oneArgument("metric with its version"),
		Long:    "Show the figures that were computed, summed up by label, or each of them with --each.\np50 is the smallest value that half of the figures do not exceed.",
		Example: "  parley metric show first_response.v2\n  parley metric show receipts.v1 --each -o csv",
	}
	flags := addReadFlags(c)
	one := c.Flags().Bool("each", false, "each figure instead of sums")
	service := c.Flags().String("service", "", "SID of a service (default: all)")
	c.RunE = func(c *cobra.Command, args []string) error {
		return withMetrics(folder(*flags.data), func(f *metric.Figures, _ []metric.Definition) error {
			if _, err := f.Known(args[0]); err != nil {
				return notFound(err)
			}
			if *one {
				return show(c.OutOrStdout(), *flags.output, figureView, func(yield func(metric.Figure) error) error { return f.Rows(args[0], *service, yield) })
			}
			list, err := f.Summaries(args[0], *service)
			if err != nil {
				return err
			}
			return show(c.OutOrStdout(), *flags.output, summaryView, each(list))
		})
	}
	return c
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

var figureView = view[metric.Figure]{
	columns: []string{"subject", "service", "label", "value"},
	cells:   func(f metric.Figure) []string { return []string{f.Subject, f.Service, f.Label, decimal(f.Value)} },
}

var summaryView = view[metric.Summary]{
	columns: []string{"label", "count", "sum", "mean", "min", "p50", "p90", "max"},
	cells: func(s metric.Summary) []string {
		row := []string{s.Label, fmt.Sprint(s.Count)}
		for _, v := range []float64{s.Sum, s.Mean, s.Min, s.P50, s.P90, s.Max} {
			row = append(row, decimal(v))
		}
		return row
	},
}

var metricDiffView = view[metric.Difference]{
	columns: []string{"subject", "label", "from", "to"},
	cells: func(d metric.Difference) []string {
		row := []string{d.Subject, d.Label, "", ""}
		for i, v := range []*float64{d.From, d.To} {
			if v != nil {
				row[2+i] = decimal(*v)
			}
		}
		return row
	},
}

func metricDiff() *cobra.Command {
	c := &cobra.Command{
		Use: "diff FROM TO", Short: "Show where two versions of a metric differ",
		Long:    "Show the figures that two metrics, as a rule two versions of one, have differently, by\nsubject and label. Exit code 7 when there are some, 4 when they are of different histories.",
		Example: "  parley metric diff first_response.v1 first_response.v2",
		Args:    twoMetrics,
	}
	flags := addReadFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return withMetrics(folder(*flags.data), func(f *metric.Figures, _ []metric.Definition) error {
			if err := sameHistory(f, args[0], args[1]); err != nil {
				return err
			}
			differ := false
			err := show(c.OutOrStdout(), *flags.output, metricDiffView, func(yield func(metric.Difference) error) error {
				return f.Diff(args[0], args[1], func(d metric.Difference) error { differ = true; return yield(d) })
			})
			if err == nil && differ {
				err = &quietError{exitDifference}
			}
			return err
		})
	}
	return c
}

func twoMetrics(_ *cobra.Command, args []string) error {
	if len(args) != 2 {
		return usage("two metrics with their versions are needed")
	}
	return nil
}

// errHistories says that figures cannot be compared.
var errHistories = errors.New("the two were computed over different histories; compute both up to one position")

func sameHistory(f *metric.Figures, from, to string) error {
	a, err := f.Known(from)
	if err != nil {
		return notFound(err)
	}
	b, err := f.Known(to)
	if err != nil {
		return notFound(err)
	}
	if a.Position != b.Position {
		return fmt.Errorf("%w: %s to %s, %s to %s", errHistories, from, a.Position, to, b.Position)
	}
	return nil
}
