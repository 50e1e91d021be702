package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
)

// fixture is a conversation's history and what it comes to, in one file: an incident
// that can be looked at anywhere, and stays a test.
type fixture struct {
	Format       int            `json:"format"`
	Version      string         `json:"version"` // of the program that wrote it
	Conversation string         `json:"conversation"`
	Anonymised   bool           `json:"anonymised"`
	Events       []fixtureEvent `json:"events"`
	Expect       []fixtureRow   `json:"expect"`
	SHA256       string         `json:"sha256"` // of all this, with nothing here
}

const fixtureFormat = 1

type fixtureEvent struct {
	ID       events.ID       `json:"id"`
	Type     string          `json:"type"`
	Position events.Position `json:"position"`
	Recorded time.Time       `json:"recorded"`
	Metadata json.RawMessage `json:"metadata"`
	Data     json.RawMessage `json:"data"`
}

// fixtureRow is a conversation, or what it holds, in the read models.
type fixtureRow struct {
	Kind   string         `json:"kind"`
	Sid    string         `json:"sid"`
	Values map[string]any `json:"values"`
}

func conversationFixture() *cobra.Command {
	c := &cobra.Command{
		Use: "fixture CH…|UNIQUE_NAME", Short: "Write a conversation's history as a test that runs anywhere", Args: oneArgument("conversation"),
		Long: `Write a conversation's history, and what it comes to, as JSON. "parley replay verify" folds
it again with any version of Parley and tells what comes out differently.

With --anonymise identities, addresses and names are pseudonyms, the same one for the same
person throughout the file and nowhere else, and content is left out: bodies, attributes,
subjects, media. SIDs and times stay.`,
		Example: "  parley conversation fixture order-1042 --anonymise > incident.json\n  parley replay verify incident.json",
	}
	data, service, asOf := dataFlag(c), serviceFlag(c), asOfFlag(c)
	anonymous := c.Flags().Bool("anonymise", false, "pseudonyms for persons, and no content")
	c.RunE = func(c *cobra.Command, args []string) error {
		return withReading(c.Context(), *data, func(r *reading) error {
			p, sid, err := r.moment(c.Context(), *asOf, *service, args[0])
			if err != nil {
				return err
			}
			f, err := newFixture(c.Context(), sid, r.history(c.Context(), sid, p), *anonymous)
			if err != nil {
				return err
			}
			return printJSON(c.OutOrStdout(), f)
		})
	}
	return c
}

func newFixture(ctx context.Context, sid string, history iter.Seq2[events.Recorded, error], anonymous bool) (*fixture, error) {
	f := &fixture{Format: fixtureFormat, Version: thisBuild().Version, Conversation: sid, Anonymised: anonymous}
	hide, err := newPseudonyms("")
	if err != nil {
		return nil, err
	}
	for e, err := range history {
		if err == nil && anonymous {
			err = hide.event(&e)
		}
		if err != nil {
			return nil, err
		}
		f.Events = append(f.Events, fixtureEvent{e.ID, e.Type, e.Position, e.Recorded, events.AppendMetadata(nil, e.Metadata), e.Data})
	}
	if len(f.Events) == 0 {
		return nil, &projections.NotFoundError{Kind: "conversation", Name: sid}
	}
	if f.Expect, err = f.fold(ctx); err != nil {
		return nil, err
	}
	f.SHA256, err = f.sum()
	return f, err
}

// sum is the digest of a fixture without its digest.
func (f *fixture) sum() (string, error) {
	without := *f
	without.SHA256 = ""
	text, err := json.Marshal(without)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), err
}

// history is what the log had.
func (f *fixture) history() iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		for i, e := range f.Events {
			metadata, err := events.ParseMetadata(e.Metadata)
			if err != nil {
				err = fmt.Errorf("event %d of the fixture: %w", i, err)
			}
			recorded := events.Recorded{
				ID: e.ID, Type: e.Type, Stream: events.Stream(events.CategoryConversation, f.Conversation), Revision: uint64(i),
				Position: e.Position, Recorded: e.Recorded, Metadata: metadata, Data: e.Data,
			}
			if !yield(recorded, err) || err != nil {
				return
			}
		}
	}
}

// fold is what the history comes to now; nothing when the conversation was removed.
func (f *fixture) fold(ctx context.Context) ([]fixtureRow, error) {
	past, err := projections.AsOf(ctx, f.history())
	if err != nil {
		return nil, err
	}
	defer past.Close() //nolint:errcheck // a temporary file
	list, err := thingsOf(ctx, past.Queries, "", f.Conversation)
	rows := make([]fixtureRow, len(list))
	for i, t := range list {
		rows[i] = fixtureRow{t.kind, t.sid, t.values}
	}
	return rows, err
}

func replayCommand() *cobra.Command {
	c := &cobra.Command{Use: "replay", Short: "Replay recorded histories"}
	c.AddCommand(replayVerify())
	return c
}

func replayVerify() *cobra.Command {
	c := &cobra.Command{
		Use: "verify FILE", Short: "Fold a fixture again, and compare", Args: oneArgument("fixture"),
		Long: `Fold the history in a fixture with this version, by the domain and into the rows of the
read models, and compare these with what the fixture expects. It needs no data folder.
Exit code 7 says that something differs, with a line for each field on standard output.`,
		Example: "  parley replay verify incident.json",
	}
	output := outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		f, err := readFixture(args[0])
		if err != nil {
			return err
		}
		differences, err := f.verify(c.Context())
		if err != nil {
			return err
		}
		if len(differences) == 0 {
			fmt.Fprintf(c.OutOrStdout(), "%s: %d events come to the same %d rows\n", args[0], len(f.Events), len(f.Expect))
			return nil
		}
		if err := show(c.OutOrStdout(), *output, differenceView, each(differences)); err != nil {
			return err
		}
		return fmt.Errorf("%w: %d fields of %s", errDifference, len(differences), args[0])
	}
	return c
}

// maxFixture bounds the bytes of a fixture.
const maxFixture = 1 << 30

// readFixture reads a fixture that is whole.
func readFixture(name string) (*fixture, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was read
	var f fixture
	decoder := json.NewDecoder(io.LimitReader(file, maxFixture))
	if err := decoder.Decode(&f); err != nil {
		return nil, fmt.Errorf("%s is no fixture: %w", name, err)
	}
	if f.Format != fixtureFormat {
		return nil, fmt.Errorf("%s has format %d; this version reads %d", name, f.Format, fixtureFormat)
	}
	sum, err := f.sum()
	if err == nil && sum != f.SHA256 {
		err = fmt.Errorf("%s is damaged: it was changed after it was written", name)
	}
	return &f, err
}
