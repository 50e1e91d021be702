package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
)

func demoCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "demo", Short: "See the main job, checked step by step", Args: noArguments,
		Long: `See the main job in a temporary folder: a second process sends commands over the
bus, the engine is killed in the middle and started again, a simulated carrier takes
messages out and brings some in, a REST client reads and writes, timers take a conversation to inactive and closed, and the read models are
rebuilt. Exits with 0 only if every step was checked.`,
		RunE: func(c *cobra.Command, _ []string) error { return runDemo(c.Context(), c.OutOrStdout()) },
	}
	c.AddCommand(demoClientCommand())
	return c
}

// demo is a run of the story.
type demo struct {
	out     io.Writer
	folder  folder
	carrier string // file of the channels
	nats    string // the address of the first start, used again at the second
	engine  *exec.Cmd
	acks    []ack
}

const demoTimeout = 90 * time.Second

func runDemo(ctx context.Context, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	dir, err := os.MkdirTemp("", "parley-demo-")
	if err != nil {
		return err
	}
	d := &demo{out: out, folder: folder(filepath.Join(dir, "data")), carrier: filepath.Join(dir, "channels.json"), nats: "127.0.0.1:0"}
	defer func() {
		d.kill()
		if err == nil {
			err = os.RemoveAll(dir)
		} else {
			fmt.Fprintf(out, "the folder is kept for a look: %s\n", dir)
		}
	}()
	for i, step := range []struct {
		title string
		do    func(context.Context) (string, error)
	}{
		{"start the engine on an empty folder", d.start},
		{"a second process sends commands over NATS; kill -9 the engine in the middle, start it again", d.crash},
		{"every acknowledged command is in the log once, in order", d.checkLog},
		{"the read models answer", d.checkModels},
		{"a simulated carrier has them sent, and reports late, twice and in the wrong order", d.checkReceipts},
		{"an SMS is answered, and one of a stranger begins a conversation", d.checkInbound},
		{"a client of Twilio's REST API reads the same conversation and writes one of its own", d.checkREST},
		{"timers take the conversation to inactive and closed", d.checkTimers},
		{"a message to the closed conversation is refused", d.checkRefusal},
		{"rebuild the read models from the log: nothing differs", d.checkRebuild},
		{"SIGTERM drains the engine", d.stop},
	} {
		fmt.Fprintf(out, "%d. %s\n", i+1, step.title)
		told, err := step.do(ctx)
		if err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, step.title, err)
		}
		fmt.Fprintf(out, "   %s\n", strings.ReplaceAll(told, "\n", "\n   "))
	}
	fmt.Fprintln(out, "All steps were checked. Next: parley serve --data ./data")
	return nil
}

// parley runs this program in another process.
func (d *demo) parley(ctx context.Context, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, self, args...)
	c.WaitDelay = 5 * time.Second
	// Settings of whoever watches are not those of the story.
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PARLEY_") })
	return c, nil
}

// output runs this program to its end and returns what it printed.
func (d *demo) output(ctx context.Context, args ...string) (stdout, stderr string, err error) {
	c, err := d.parley(ctx, append(args, "--data", string(d.folder))...)
	if err != nil {
		return "", "", err
	}
	var out, errOut strings.Builder
	c.Stdout, c.Stderr = &out, &errOut
	err = c.Run()
	return out.String(), errOut.String(), err
}

func (d *demo) start(ctx context.Context) (string, error) {
	begun := time.Now()
	if err := d.chooseCarrier(); err != nil {
		return "", err
	}
	c, err := d.parley(ctx, "serve", "--data", string(d.folder), "--nats", d.nats, "--log-level", "warn", "--channels", d.carrier,
		"--min-inactive-timer", "1s", "--min-closed-timer", "1s", "--actions-per-second", "0")
	if err != nil {
		return "", err
	}
	c.Stderr = d.out
	if err := c.Start(); err != nil {
		return "", err
	}
	d.engine = c
	for {
		if found, err := checkHealth(ctx, d.folder); err == nil && found.value == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the engine did not get ready: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	e, err := d.folder.running()
	if err != nil {
		return "", err
	}
	d.nats = strings.TrimPrefix(e.NATS, "nats://")
	return fmt.Sprintf("process %d is ready after %d ms at %s", c.Process.Pid, time.Since(begun).Milliseconds(), e.NATS), nil
}

// kill ends the engine without a warning, as a power cut would.
func (d *demo) kill() {
	if d.engine == nil {
		return
	}
	_ = d.engine.Process.Signal(syscall.SIGKILL) // gone already is as good
	_ = d.engine.Wait()                          // "signal: killed" is what was asked for
	_ = os.Remove(d.folder.endpoints())
	d.engine = nil
}

// crash has the story told by a second process and kills the engine when half
// of it is acknowledged. The teller keeps sending what has no answer yet.
func (d *demo) crash(ctx context.Context) (string, error) {
	teller, err := d.parley(ctx, "demo", "client", "--data", string(d.folder))
	if err != nil {
		return "", err
	}
	lines, err := teller.StdoutPipe()
	if err != nil {
		return "", err
	}
	teller.Stderr = d.out
	if err := teller.Start(); err != nil {
		return "", err
	}
	var restarted string
	var once sync.Once
	scanner := bufio.NewScanner(lines)
	for scanner.Scan() {
		var a ack
		if err := json.Unmarshal(scanner.Bytes(), &a); err != nil {
			return "", errors.Join(err, teller.Cancel())
		}
		if d.acks = append(d.acks, a); len(d.acks) == storyMessages {
			once.Do(func() {
				pid := d.engine.Process.Pid
				d.kill()
				if restarted, err = d.start(ctx); err == nil {
					restarted = fmt.Sprintf("killed process %d after %d acknowledgements; %s", pid, len(d.acks), restarted)
				}
			})
		}
	}
	if err := errors.Join(err, scanner.Err(), teller.Wait()); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s\nprocess %d had %d commands acknowledged", restarted, teller.Process.Pid, len(d.acks)), nil
}

// conversation is the one the story is about.
func (d *demo) conversation() (string, error) {
	for _, a := range d.acks {
		if a.Command == "conversation.create" && a.Name == storyName {
			return a.Aggregate, nil
		}
	}
	return "", errors.New("the conversation of the story was not acknowledged")
}

func (d *demo) checkLog(ctx context.Context) (string, error) {
	seen := map[events.ID]int{}
	var previous = map[string]uint64{}
	total := 0
	err := d.eachEvent(ctx, func(e shownEvent) error {
		total++
		if e.Revision == 0 {
			previous[e.Stream] = 0
		} else if previous[e.Stream]++; previous[e.Stream] != e.Revision {
			return fmt.Errorf("%s goes from revision %d to %d", e.Stream, previous[e.Stream]-1, e.Revision)
		}
		if e.Type == (events.MessageAdded{}).EventType() {
			seen[e.Metadata.CommandID]++
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	last, messages := map[string]int64{}, 0
	for _, a := range d.acks {
		if a.Index == nil {
			continue
		}
		messages++
		if seen[a.ID] != 1 {
			return "", fmt.Errorf("command %s was acknowledged and is in the log %d times", a.ID, seen[a.ID])
		}
		if before, ok := last[a.Aggregate]; ok && *a.Index <= before {
			return "", fmt.Errorf("%s: index %d came after %d", a.Aggregate, *a.Index, before)
		}
		last[a.Aggregate] = *a.Index
	}
	return fmt.Sprintf("%d events, revisions dense in %d streams; %d acknowledged messages, each there once", total, len(previous), messages), nil
}

func (d *demo) eachEvent(ctx context.Context, look func(shownEvent) error) error {
	out, _, err := d.output(ctx, "event", "list", "-o", "jsonl")
	if err != nil {
		return err
	}
	for line := range strings.Lines(out) {
		var e shownEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return err
		}
		if err := look(e); err != nil {
			return err
		}
	}
	return nil
}

// rows runs a reading command and decodes its lines.
func rows[R any](ctx context.Context, d *demo, args ...string) ([]R, error) {
	out, errOut, err := d.output(ctx, append(args, "-o", "jsonl")...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, errOut)
	}
	var all []R
	for line := range strings.Lines(out) {
		var row R
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, nil
}

func (d *demo) checkModels(ctx context.Context) (told string, err error) {
	err = patiently(ctx, func() error { // what comes from outside is taken first and handled then
		participants, err := rows[projections.Participant](ctx, d, "participant", "list", storyName)
		if err != nil {
			return err
		}
		messages, err := rows[projections.Message](ctx, d, "message", "list", storyName)
		if err != nil {
			return err
		}
		if len(participants) != 3 || len(messages) != storyMessages+1 {
			return fmt.Errorf("found %d participants and %d messages, not 3 and %d", len(participants), len(messages), storyMessages+1)
		}
		told = fmt.Sprintf("%s has %s (chat), %s and %s; %d messages", storyName, participants[0].Identity,
			participants[1].MessagingBinding.Address, participants[2].MessagingBinding.Address, len(messages))
		return nil
	})
	return told, err
}

func (d *demo) checkTimers(ctx context.Context) (string, error) {
	for {
		found, err := rows[shownConversation](ctx, d, "conversation", "get", storyName)
		if err != nil {
			return "", err
		}
		if len(found) == 1 && found[0].State == events.StateClosed {
			break
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("not closed in time: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
	moments, err := rows[moment](ctx, d, "conversation", "timeline", storyName)
	if err != nil {
		return "", err
	}
	var told []string
	for _, m := range moments {
		var changed events.ConversationStateChanged
		if m.Type != changed.EventType() {
			continue
		}
		if err := json.Unmarshal(m.Data, &changed); err != nil {
			return "", err
		}
		late := m.Recorded.Sub(changed.Due)
		if changed.Reason != events.ReasonTimer || late < 0 || m.Occurred != changed.Due {
			return "", fmt.Errorf("revision %d: %s, %v after its due time", m.Revision, details(m), late)
		}
		told = append(told, fmt.Sprintf("%s → %s (%s), %d ms after it was due", changed.From, changed.To, changed.Reason, late.Milliseconds()))
	}
	if len(told) != 2 {
		return "", fmt.Errorf("%d changes of state, not 2", len(told))
	}
	return strings.Join(told, "\n"), nil
}

func (d *demo) checkRefusal(ctx context.Context) (string, error) {
	sid, err := d.conversation()
	if err != nil {
		return "", err
	}
	before, _, err := d.output(ctx, "conversation", "timeline", sid, "-o", "jsonl")
	if err != nil {
		return "", err
	}
	_, refusal, err := d.output(ctx, "command", "send", "conversation.add-message", sid, "--set", "body=Too late")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitConflict || !strings.Contains(refusal, "50377") {
		return "", errors.Join(err, fmt.Errorf("not refused as closed: %s", refusal))
	}
	after, _, err := d.output(ctx, "conversation", "timeline", sid, "-o", "jsonl")
	if err != nil || before != after {
		return "", errors.Join(err, errors.New("the refused command left a trace"))
	}
	first, _, _ := strings.Cut(refusal, "\n")
	return first + "  (Twilio 50377; the log is as before)", nil
}

func (d *demo) checkRebuild(ctx context.Context) (string, error) {
	out, told, err := d.output(ctx, "projection", "rebuild", projections.Name)
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, told)
	}
	var rebuilt projections.Rebuilt
	if err := json.Unmarshal([]byte(out), &rebuilt); err != nil {
		return "", err
	}
	if !rebuilt.Verified {
		return "", errors.New("the rebuild was not verified")
	}
	rows := int64(0)
	for _, t := range rebuilt.Tables {
		rows += t.Rows
	}
	return fmt.Sprintf("%d events folded into %d rows of %d tables, equal to the live ones; generation %d is live",
		rebuilt.Events, rows, len(rebuilt.Tables), rebuilt.Generation), nil
}

func (d *demo) stop(context.Context) (string, error) {
	if err := d.engine.Process.Signal(syscall.SIGTERM); err != nil {
		return "", err
	}
	err := d.engine.Wait()
	d.engine = nil
	if err != nil {
		return "", err
	}
	if _, err := d.folder.running(); !errors.Is(err, errNoServer) {
		return "", errors.Join(err, errors.New("endpoints.json is still there"))
	}
	return "exit 0", nil
}
