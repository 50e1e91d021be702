package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
)

func projectionCommand() *cobra.Command {
	c := &cobra.Command{Use: "projection", Short: "Look at read models and rebuild them"}
	c.AddCommand(projectionList(), projectionRebuild())
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

func projectionRebuild() *cobra.Command {
	c := &cobra.Command{
		Use: "rebuild NAME", Short: "Build a projection anew from the log, verify it, and swap it in", Args: oneArgument("projection"),
		Long: `Build a projection anew from the log beside the live one, compare the two at the
same position of the log, and swap only if nothing differs. Queries go on all
the while. A running server does it; without one it is done on the data folder.
Exit code 7 says that the two differ; the live one stays.`,
		Example: "  parley projection rebuild " + projections.Name,
	}
	data := dataFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if args[0] != projections.Name {
			return fmt.Errorf("%w: there is no projection %q; there is %q", projections.ErrNotFound, args[0], projections.Name)
		}
		f := folder(*data)
		if err := f.exists(); err != nil {
			return err
		}
		step := progressTo(c.ErrOrStderr(), c.OutOrStdout())
		err := rebuildByServer(c.Context(), f, step)
		if errors.Is(err, errNoServer) {
			err = rebuildHere(c.Context(), f, step)
		}
		return err
	}
	return c
}

// rebuildStep is one line of a rebuild's story: a step, or its end.
type rebuildStep struct {
	Progress *projections.Progress `json:"progress,omitempty"`
	Rebuilt  *projections.Rebuilt  `json:"rebuilt,omitempty"`
	Differs  []string              `json:"differs,omitempty"`
	Error    string                `json:"error,omitempty"`
	Done     bool                  `json:"done,omitempty"`
}

// rebuild runs one and tells its steps, at most one a second and phase.
func rebuild(ctx context.Context, models *projections.ReadModels, step func(any)) error {
	var told time.Time
	var phase projections.Phase
	rebuilt, err := models.Rebuild(ctx, func(p projections.Progress) {
		if p.Phase != phase || time.Since(told) >= time.Second {
			told, phase = time.Now(), p.Phase
			step(rebuildStep{Progress: &p})
		}
	})
	var mismatch *projections.MismatchError
	if errors.As(err, &mismatch) {
		step(rebuildStep{Differs: differences(mismatch)})
		return fmt.Errorf("%w: %w", errDifference, err)
	}
	if err == nil {
		step(rebuildStep{Rebuilt: &rebuilt})
	}
	return err
}

func differences(m *projections.MismatchError) []string {
	lines := make([]string, 0, len(m.Differences))
	for _, d := range m.Differences {
		lines = append(lines, fmt.Sprintf("%s: live %d rows %v, rebuilt %d rows %v", d.Live.Table, d.Live.Rows, d.Live.Sum, d.Rebuilt.Rows, d.Rebuilt.Sum))
	}
	return lines
}

// progressTo prints steps: one plain line each on errOut, the outcome on out.
func progressTo(errOut, out io.Writer) func(any) {
	return func(value any) {
		s, ok := value.(rebuildStep)
		switch {
		case !ok:
		case s.Progress != nil:
			fmt.Fprintln(errOut, progressLine(*s.Progress))
		case s.Rebuilt != nil:
			_ = printJSON(out, s.Rebuilt) // nobody reads: nobody misses it
		default:
			for _, line := range s.Differs {
				fmt.Fprintln(errOut, "differs: "+line)
			}
		}
	}
}

func progressLine(p projections.Progress) string {
	line := fmt.Sprintf("rebuild %s: %s pos=%s events=%d", projections.Name, p.Phase, p.Position, p.Events)
	seconds := p.Elapsed.Seconds()
	if seconds < 0.5 || p.Events == 0 {
		return line
	}
	rate := float64(p.Events) / seconds
	line += fmt.Sprintf(" %.0f ev/s", rate)
	if p.Phase == projections.Filling && p.Total > p.Events {
		left := time.Duration(float64(p.Total-p.Events) / rate * float64(time.Second))
		line += fmt.Sprintf(" %d%% eta %s", 100*p.Events/p.Total, left.Round(time.Second))
	}
	return line
}

// rebuildByServer has the folder's running server do it.
func rebuildByServer(ctx context.Context, f folder, step func(any)) error {
	e, err := f.running()
	if err != nil {
		return err
	}
	token, err := f.known("admin-token")
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.HTTP+"/admin/projections/"+projections.Name+"/rebuild", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	client, err := e.client()
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f, errNoServer)
	}
	defer response.Body.Close() //nolint:errcheck // read to its end below
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answered %s", response.Status)
	}
	return followSteps(response.Body, step)
}

func followSteps(body io.Reader, step func(any)) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	differs := false
	for lines.Scan() {
		var s rebuildStep
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return fmt.Errorf("answer of the server: %w", err)
		}
		differs = differs || len(s.Differs) > 0
		switch {
		case s.Done:
			return nil
		case s.Error != "" && differs:
			return fmt.Errorf("%w: %s", errDifference, s.Error)
		case s.Error != "":
			return errors.New(s.Error)
		}
		step(s)
	}
	return errors.Join(errors.New("the server left before the rebuild ended"), lines.Err())
}

// rebuildHere does it on the folder itself. The log's lock keeps servers out.
func rebuildHere(ctx context.Context, f folder, step func(any)) (err error) {
	log, err := f.openLog(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if err := rebuildFrom(ctx, log, f, step); !damagedFile(err) {
		return err
	}
	return rebuildWithout(ctx, log, f, step)
}

func rebuildFrom(ctx context.Context, log store.Log, f folder, step func(any)) (err error) {
	models, err := projections.Open(f.read(), log, &projections.Options{ReplaceDamaged: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, models.Close()) }()
	if err := catchUpModels(ctx, models, log); err != nil {
		return err
	}
	return rebuild(ctx, models, step)
}

// rebuildWithout puts read models aside that are too damaged to be compared
// with. They come back when it was not them but the log that is damaged.
func rebuildWithout(ctx context.Context, log store.Log, f folder, step func(any)) error {
	aside := f.read() + ".damaged"
	if err := errors.Join(os.RemoveAll(aside), os.Rename(f.read(), aside)); err != nil {
		return err
	}
	if err := rebuildFrom(ctx, log, f, step); err != nil {
		return errors.Join(err, os.RemoveAll(f.read()), os.Rename(aside, f.read()))
	}
	return os.RemoveAll(aside)
}

// catchUpModels brings the live read models to the head, so that there is
// something to compare with.
func catchUpModels(ctx context.Context, models *projections.ReadModels, log store.Log) error {
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- models.Run(running) }() // waited for below
	err = models.Wait(ctx, head)
	stop()
	return errors.Join(err, <-done)
}
