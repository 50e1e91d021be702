package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/projections"
)

// jobKind is one kind of jobs that a server does because of the log, as commands that
// look after them know it.
type jobKind struct {
	file    string // of the queue
	command string // that they belong to: webhook
	one     string // what one is, with its article: a call of a webhook
	many    string // calls of webhooks
}

// with opens the queue, whether or not a server works on it.
func (k jobKind) with(f folder, use func(*reactor.Queue) error) error {
	if err := f.exists(); err != nil {
		return err
	}
	q, err := reactor.OpenExisting(f.queue(k.file))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s has no %s: no server has run on it that makes them", projections.ErrNotFound, f, k.file)
	}
	if err != nil {
		return f.within(err)
	}
	return errors.Join(f.within(use(q)), q.Close())
}

var jobView = view[reactor.Entry]{
	columns: []string{"id", "state", "what", "about", "attempts", "due", "created", "target", "note"},
	cells: func(e reactor.Entry) []string {
		return []string{fmt.Sprint(e.Seq), string(e.State), e.What, e.About, fmt.Sprint(e.Attempts), stamp(e.Due), stamp(e.Created), short(withoutPassword(e.Target), 60), short(e.Note, 60)}
	},
}

// withoutPassword is a target as it can be shown.
func withoutPassword(target string) string {
	if u, err := url.Parse(target); err == nil && u.User != nil {
		return u.Redacted()
	}
	return target
}

// shownJob is a job with its attempts.
type shownJob struct {
	reactor.Entry
	Made []shownAttempt `json:"made"`
}

type shownAttempt struct {
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds"`
	Note    string    `json:"note,omitempty"`
	Problem string    `json:"problem,omitempty"`
}

var attemptView = view[shownAttempt]{
	columns: []string{"at", "seconds", "note", "problem"},
	cells: func(a shownAttempt) []string {
		return []string{stamp(a.At), fmt.Sprintf("%.3f", a.Seconds), a.Note, a.Problem}
	},
}

// attempts lists jobs, or what came of each attempt of one.
func (k jobKind) attempts() *cobra.Command {
	var s reactor.Selection
	var state string
	c := &cobra.Command{
		Use: "attempts [ID]", Short: "List " + k.many + ", newest first, or every attempt of one", Args: cobra.MaximumNArgs(1),
		Long:    "List " + k.many + ", newest first. With an ID, list every attempt of one and what came of it.",
		Example: fmt.Sprintf("  parley %[1]s attempts --state parked\n  parley %[1]s attempts --conversation CH…\n  parley %[1]s attempts 42", k.command),
	}
	flags := addReadFlags(c)
	c.Flags().StringVar(&state, "state", "", "pending, parked, done or discarded (default: all)")
	c.Flags().StringVar(&s.About, "conversation", "", "SID of the conversation, or of the user, that they are about")
	c.Flags().IntVar(&s.Limit, "limit", 100, "show at most this many; 0 shows all")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if s.State, err = jobState(state); err != nil {
			return err
		}
		return k.with(folder(*flags.data), func(q *reactor.Queue) error {
			if len(args) == 1 {
				return k.showAttempts(c, q, *flags.output, args[0])
			}
			list, err := q.Entries(s)
			if err != nil {
				return err
			}
			for i := range list {
				list[i].Target = withoutPassword(list[i].Target)
			}
			return show(c.OutOrStdout(), *flags.output, jobView, each(list))
		})
	}
	return c
}

func jobState(text string) (reactor.State, error) {
	switch s := reactor.State(text); s {
	case "", reactor.Pending, reactor.Parked, reactor.Done, reactor.Discarded:
		return s, nil
	}
	return "", usage("--state %q: pending, parked, done or discarded", text)
}

func (k jobKind) showAttempts(c *cobra.Command, q *reactor.Queue, output, id string) error {
	seqs, err := k.ids([]string{id})
	if err != nil {
		return err
	}
	found, err := q.Entries(reactor.Selection{Seqs: seqs})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("%w: %s is not %s", projections.ErrNotFound, id, k.one)
	}
	made, err := q.Attempts(seqs[0])
	if err != nil {
		return err
	}
	found[0].Target = withoutPassword(found[0].Target)
	shown := shownJob{Entry: found[0], Made: []shownAttempt{}}
	for _, a := range made {
		shown.Made = append(shown.Made, shownAttempt{a.At, a.Took.Seconds(), a.Note, a.Problem})
	}
	if format(c.OutOrStdout(), output) == "json" {
		return printJSON(c.OutOrStdout(), shown)
	}
	return show(c.OutOrStdout(), output, attemptView, each(shown.Made))
}

func (k jobKind) ids(args []string) (seqs []int64, err error) {
	for _, text := range args {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, usage("%q is not the ID of %s", text, k.one)
		}
		seqs = append(seqs, n)
	}
	return seqs, nil
}

// retry has jobs attempted again, from the first attempt on.
func (k jobKind) retry() *cobra.Command {
	var s reactor.Selection
	var parked bool
	c := &cobra.Command{
		Use: "retry [ID…]", Short: "Attempt " + k.many + " again now",
		Long: "Attempt " + k.many + " again, now and with all attempts before them: those that are named,\n" +
			"all that are parked, or those of a conversation that are parked. They are attempted by the\nserver, or at its next start.",
		Example: fmt.Sprintf("  parley %[1]s retry 42\n  parley %[1]s retry --parked\n  parley %[1]s retry --conversation CH…", k.command),
	}
	data := dataFlag(c)
	c.Flags().BoolVar(&parked, "parked", false, "all that are parked")
	c.Flags().StringVar(&s.About, "conversation", "", "those that are parked of this conversation or user")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if (len(args) > 0) == (parked || s.About != "") {
			return usage("either IDs, or --parked or --conversation are needed")
		}
		if s.Seqs, err = k.ids(args); err != nil {
			return err
		}
		if len(args) == 0 {
			s.State = reactor.Parked
		}
		return k.with(folder(*data), func(q *reactor.Queue) error {
			n, err := q.Retry(s)
			return k.changed(c, "retried", n, err)
		})
	}
	return c
}

// discard gives jobs up.
func (k jobKind) discard() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "discard ID…", Short: "Give " + k.many + " up, saying why", Args: cobra.MinimumNArgs(1),
		Long:    "Give " + k.many + " up that are pending or parked. They are kept for a while, with the\nreason, and can be retried.",
		Example: fmt.Sprintf("  parley %s discard 42 43 --reason 'the receiver has it from an export'", k.command),
	}
	data := dataFlag(c)
	c.Flags().StringVar(&reason, "reason", "", "why; it is needed")
	c.RunE = func(c *cobra.Command, args []string) error {
		if reason == "" {
			return usage("--reason is needed")
		}
		seqs, err := k.ids(args)
		if err != nil {
			return err
		}
		return k.with(folder(*data), func(q *reactor.Queue) error {
			n, err := q.Discard(reactor.Selection{Seqs: seqs}, reason)
			return k.changed(c, "discarded", n, err)
		})
	}
	return c
}

func (k jobKind) changed(c *cobra.Command, done string, n int, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s %d\n", done, n)
	return err
}
