package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/projections"
)

func projectionRebuild() *cobra.Command {
	var o operation
	o.action = actionRebuild
	c := &cobra.Command{
		Use: "rebuild NAME|--all", Short: "Build a projection anew from the log, verify it, and swap it in",
		Long: `Build a projection anew from the log beside the live one, compare the two at the
same position of the log, and swap only if nothing differs. Queries go on all
the while. A running server does it, and goes on when this command is interrupted;
without one it is done on the data folder, and can be resumed after an interrupt.

Exit code 7 says that the two differ; the live one stays, and the rows that differ are
shown with the event at which they part. --accept swaps all the same, as after a mistake
in a projection was mended. The former one is kept for a while: see rollback.

--conversation and --tenant make the rows of one conversation or service anew in the
live one; see refold.`,
		Example: "  parley projection rebuild " + projections.Name + "\n" +
			"  parley projection rebuild --all --rate 5000\n" +
			"  parley projection rebuild main --accept --reason 'receipts were counted twice'\n" +
			"  parley projection rebuild main --tenant IS0f9e…",
	}
	all := c.Flags().Bool("all", false, "all projections")
	c.Flags().IntVar(&o.Rate, "rate", 0, "events read from the log in a second, at most; 0 = as fast as it goes")
	c.Flags().BoolVar(&o.Accept, "accept", false, "swap even if the two differ")
	c.Flags().StringVar(&o.Reason, "reason", "", "why a difference is accepted; it is kept")
	c.Flags().StringVar(&o.Service, "tenant", "", "only what belongs to this service, in the live projection")
	c.Flags().StringVar(&o.Conversation, "conversation", "", "only this conversation, in the live projection")
	data := dataFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case *all == (len(args) > 0) || len(args) > 1:
			return usage("one projection or --all is needed")
		case o.Accept == (o.Reason == ""):
			return usage("--accept and --reason belong together")
		case o.Rate < 0:
			return usage("--rate is not below zero")
		}
		if !*all {
			if err := knownProjection(args[0]); err != nil {
				return err
			}
		}
		if o.Scope != (projections.Scope{}) {
			o.action = actionRefold
		}
		return operate(c, folder(*data), o)
	}
	return c
}

func projectionRefold() *cobra.Command {
	o := operation{action: actionRefold}
	c := &cobra.Command{
		Use: "refold CONVERSATION", Short: "Make a conversation's rows anew from its events",
		Long: `Make the rows of a conversation, or of all that a service has, anew from the log and
put them in the place of the live ones in one transaction. "healed" is how many rows were
wrong. The log is read once, for rows are numbered by their events.`,
		Example: "  parley projection refold order-1042\n  parley projection refold --tenant IS0f9e… --rate 20000",
	}
	c.Flags().StringVar(&o.Service, "tenant", "", "all that belongs to this service, instead of a conversation")
	c.Flags().IntVar(&o.Rate, "rate", 0, "events read from the log in a second, at most; 0 = as fast as it goes")
	data := dataFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if (o.Service == "") == (len(args) == 0) || len(args) > 1 || o.Rate < 0 {
			return usage("a conversation or --tenant is needed, and no rate below zero")
		}
		if len(args) > 0 {
			o.Conversation = args[0]
		}
		return operate(c, folder(*data), o)
	}
	return c
}

// projectionVerb is a command that needs nothing but a projection.
func projectionVerb(action, short, long string) *cobra.Command {
	c := &cobra.Command{
		Use: action + " NAME", Short: short, Long: long, Args: oneArgument("projection"),
		Example: "  parley projection " + action + " " + projections.Name,
	}
	data := dataFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := knownProjection(args[0]); err != nil {
			return err
		}
		return operate(c, folder(*data), operation{action: action})
	}
	return c
}

func projectionPause() *cobra.Command {
	return projectionVerb(actionPause, "Let the rebuild that runs wait", `Let the rebuild that runs wait until "resume". It stays paused over restarts.`)
}

func projectionResume() *cobra.Command {
	return projectionVerb(actionResume, "Go on with a rebuild that is paused or was interrupted",
		`Go on with a rebuild that is paused, or that was interrupted: from where it stopped, or
from the beginning when the process was killed while it read the log. A server goes on
with it by itself when it starts, unless it is paused.`)
}

func projectionCancel() *cobra.Command {
	return projectionVerb(actionCancel, "Give a rebuild up", "Give up the rebuild that runs, is paused or was interrupted. The live projection stays as it is.")
}

func projectionRollback() *cobra.Command {
	return projectionVerb(actionRollback, "Go back to the generation that was live before",
		`Make the former generation the live one again, at the position of the live one, which
becomes the former: a second rollback undoes the first. A server keeps the former
generation caught up for an hour after a swap (see --keep-former of "parley serve"); then
it is deleted.`)
}

// operate has the running server do it, or does it on the folder.
func operate(c *cobra.Command, f folder, o operation) error {
	return operateWith(c, f, o, func(operationStep) {})
}

// operateWith also shows the steps to somebody else.
func operateWith(c *cobra.Command, f folder, o operation, seen func(operationStep)) error {
	if err := f.exists(); err != nil {
		return err
	}
	if err := o.resolve(c.Context(), f); err != nil {
		return err
	}
	tell := stepsTo(c.ErrOrStderr(), c.OutOrStdout())
	step := func(s operationStep) { seen(s); tell(s) }
	err := operateByServer(c.Context(), f, o, step)
	switch {
	case errors.Is(err, errNoServer):
		err = operateHere(c.Context(), f, o, step)
	case o.action == actionRebuild && c.Context().Err() != nil:
		fmt.Fprintf(c.ErrOrStderr(), "the server goes on with it; to end it: parley projection cancel %s\n", projections.Name)
	}
	return err
}

// resolve turns a conversation's name into its SID. One that has no row can be refolded
// by its SID.
func (o *operation) resolve(ctx context.Context, f folder) error {
	if o.Service != "" && !domain.IsSID("IS", o.Service) {
		return usage("--tenant %q is not the SID of a service", o.Service)
	}
	if o.Conversation == "" || domain.IsSID("CH", o.Conversation) {
		return nil
	}
	return withReading(ctx, string(f), func(r *reading) (err error) {
		o.Conversation, err = r.sidOf(ctx, "", o.Conversation)
		return err
	})
}

// stepsTo prints steps: progress on errOut, the outcome on out. On a terminal progress is
// one line that changes, elsewhere one line each.
func stepsTo(errOut, out io.Writer) func(operationStep) {
	moving := isTerminal(errOut)
	return func(s operationStep) {
		switch {
		case s.Progress != nil && moving:
			fmt.Fprintf(errOut, "\r\033[K%s %s", bar(*s.Progress), progressLine(*s.Progress))
			return
		case s.Progress != nil:
			fmt.Fprintln(errOut, progressLine(*s.Progress))
			return
		case moving:
			fmt.Fprintln(errOut)
		}
		switch {
		case s.Rebuilt != nil:
			_ = printJSON(out, s.Rebuilt) // nobody reads: nobody misses it
		case s.Refolded != nil:
			_ = printJSON(out, s.Refolded)
		case s.Released != nil:
			_ = printJSON(out, s.Released)
		case s.Mismatch != nil:
			printMismatch(errOut, s.Mismatch)
		}
	}
}

// onceASecond lets through what begins a phase, and one report a second.
func onceASecond(report func(projections.Progress)) func(projections.Progress) {
	var told time.Time
	var phase projections.Phase
	return func(p projections.Progress) {
		if p.Phase != phase || time.Since(told) >= time.Second {
			told, phase = time.Now(), p.Phase
			report(p)
		}
	}
}

// bar is the part of a rebuild's events that are done.
func bar(p projections.Progress) string {
	const width = 20
	done := width
	if p.Phase == projections.Filling {
		done = int(width * min(p.Events, p.Total) / max(p.Total, 1))
	}
	return "[" + strings.Repeat("#", done) + strings.Repeat("-", width-done) + "]"
}

func progressLine(p projections.Progress) string {
	line := fmt.Sprintf("rebuild %s: %s pos=%s events=%d", projections.Name, p.Phase, p.Position, p.Events)
	seconds, done := p.Elapsed.Seconds(), p.Events-p.Before
	if seconds < 0.5 || done == 0 {
		return line
	}
	rate := float64(done) / seconds
	line += fmt.Sprintf(" %.0f ev/s", rate)
	if p.Phase == projections.Filling && p.Total > p.Events {
		left := time.Duration(float64(p.Total-p.Events) / rate * float64(time.Second))
		line += fmt.Sprintf(" %d%% eta %s", 100*p.Events/p.Total, left.Round(time.Second))
	}
	return line
}

// maxShownRows bounds the rows of a mismatch that are shown.
const maxShownRows = 20

func printMismatch(w io.Writer, m *projections.MismatchError) {
	for _, d := range m.Differences {
		fmt.Fprintf(w, "differs: %s: live %d rows %d, rebuilt %d rows %d\n", d.Live.Table, d.Live.Rows, d.Live.Sum, d.Rebuilt.Rows, d.Rebuilt.Sum)
	}
	for _, v := range m.Violations {
		fmt.Fprintf(w, "wrong: %s\n", v)
	}
	for i, r := range m.Rows {
		if i == maxShownRows {
			fmt.Fprintf(w, "… and %d more rows\n", len(m.Rows)-i)
			break
		}
		fmt.Fprintln(w, rowLine(r))
	}
	if n := len(m.Quarantined); n > 0 {
		fmt.Fprintf(w, "%d streams are quarantined in the live one: try them first (parley projection quarantine list)\n", n)
	}
	if e := m.First; e != nil {
		fmt.Fprintf(w, "first diverging event: %s %s of %s, revision %d, position %s: %s\n", e.ID, e.Type, e.Stream, e.Revision, e.Position, e.Why)
	}
}

func rowLine(r projections.RowDifference) string {
	line := fmt.Sprintf("  %s %s:", r.Table, r.Sid)
	if r.Only != "" {
		line += " only the " + r.Only + " one has it"
	}
	for _, c := range r.Columns {
		line += fmt.Sprintf(" %s is %s live, %s rebuilt;", c.Column, cell(c.Live), cell(c.Rebuilt))
	}
	if r.Event != nil {
		line += fmt.Sprintf(" since position %s (%s)", r.Event.Position, r.Event.Why)
	}
	return line
}

// cell is a value of a row on a line.
func cell(value string) string {
	if value == projections.Null {
		return "nothing"
	}
	return strconv.Quote(short(value, 40))
}
