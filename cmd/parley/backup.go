package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/backup"
	"github.com/parley-engine/parley/internal/blob"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

func backupCommand() *cobra.Command {
	c := &cobra.Command{Use: "backup", Short: "Back a data folder up and restore it"}
	c.AddCommand(backupCreate(), backupVerify(), backupRestore())
	return c
}

// summary is what is said of a backup: its manifest without the list of files.
type summary struct {
	Created  time.Time `json:"created"`
	Version  string    `json:"version"`
	Account  string    `json:"account"`
	Position string    `json:"position"`
	Events   int       `json:"events"`
	Digest   string    `json:"digest"`
	Files    int       `json:"files"`
	Bytes    int64     `json:"bytes"`
}

func printSummary(w io.Writer, m *backup.Manifest) error {
	return printJSON(w, summary{m.Created, m.Version, m.Account, m.Position.String(), m.Events, m.Digest, len(m.Files), m.Bytes()})
}

func backupCreate() *cobra.Command {
	c := &cobra.Command{
		Use: "create", Short: "Write a data folder into one compressed file", Args: noArguments,
		Long: `Write the log as it is at one moment, the uploads, the account and the secrets into one
compressed file with a manifest. A server may run meanwhile. The log is read and checked
before the file gets its name, so what has the name is whole. Beside it room for a copy of
the log is needed meanwhile.

Read models and snapshots are not in it: they are made anew. Nor is what the embedded
broker holds: durable commands that nobody has handled yet, dead letters and published
events; nor what was to be done outside: a server on what was restored sends and calls
nothing because of what is in the backup already. The file has secrets, and is for its owner only.`,
		Example: "  parley backup create --data ./data --out ./parley-2026-11-25.backup",
	}
	data := dataFlag(c)
	out := c.Flags().String("out", "", "file to write; none of that name is there")
	media := c.Flags().String("media", "", "folder of uploads, if the server is told one with --media")
	c.RunE = func(c *cobra.Command, _ []string) error {
		f := folder(*data)
		if err := f.exists(); err != nil {
			return err
		}
		if _, err := os.Stat(f.log()); err != nil {
			return usage("the log of %s is in a database: that has backups of its own; account, secrets/ and media/ are files", f)
		}
		if *out == "" {
			return usage("--out is needed")
		}
		if _, err := os.Lstat(*out); !errors.Is(err, fs.ErrNotExist) {
			return usage("%s is there already", *out)
		}
		if *media == "" {
			*media = f.media()
		}
		p := packing{folder: f, media: *media, out: *out, progress: counted(c.ErrOrStderr())}
		m, err := p.run(c.Context())
		if err != nil {
			return err
		}
		if err := f.keepBackup(backedUp{File: filepath.Base(*out), Created: m.Created, Position: m.Position, Event: p.last}); err != nil {
			fmt.Fprintf(c.ErrOrStderr(), "the folder could not be told how far the backup goes: %v\n", err)
		}
		return printSummary(c.OutOrStdout(), m)
	}
	return c
}

// packing is a backup being made.
type packing struct {
	folder     folder
	media, out string
	progress   func(events int)

	temporary string // folder beside the file
	archive   *backup.Writer
	packed    map[string]bool // uploads, by their hash
	last      events.ID       // of the log; zero: it is empty
}

func (p *packing) run(ctx context.Context) (m *backup.Manifest, err error) {
	place, err := newWorkplace(filepath.Dir(p.out), placeBackup)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, place.close()) }()
	p.temporary = place.dir
	unfinished := place.path("archive")
	file, err := os.OpenFile(unfinished, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if m, err = p.write(ctx, file); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return m, errors.Join(os.Rename(unfinished, p.out), syncFolder(filepath.Dir(p.out)))
}

func (p *packing) write(ctx context.Context, w io.Writer) (m *backup.Manifest, err error) {
	if p.archive, err = backup.NewWriter(w); err != nil {
		return nil, err
	}
	if m, err = p.pack(ctx); err != nil {
		return nil, err
	}
	return m, p.archive.Close(m)
}

// pack takes the uploads first and once more after the log: those that the log names were
// there before it, and those that are removed meanwhile may still be in it.
func (p *packing) pack(ctx context.Context) (*backup.Manifest, error) {
	p.packed = map[string]bool{}
	if err := p.uploads(ctx); err != nil {
		return nil, err
	}
	m, err := p.log(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.uploads(ctx); err != nil {
		return nil, err
	}
	if m.Account, err = p.folder.knownAccount(); err != nil {
		return nil, err
	}
	names := []string{"account"}
	secrets, err := os.ReadDir(p.folder.path("secrets"))
	if err != nil {
		return nil, err
	}
	for _, s := range secrets {
		if s.Type().IsRegular() && !strings.HasSuffix(s.Name(), ".new") {
			names = append(names, "secrets/"+s.Name())
		}
	}
	for _, name := range names {
		if err := p.add(ctx, name, p.folder.path(filepath.FromSlash(name))); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// uploads packs those that are not packed yet. One that goes meanwhile is left out, and
// packed the next time if it came again.
func (p *packing) uploads(ctx context.Context) error {
	err := blob.Each(ctx, p.media, func(sha256, path string) error {
		if p.packed[sha256] {
			return nil
		}
		within, err := filepath.Rel(p.media, path)
		if err == nil {
			err = p.add(ctx, "media/"+filepath.ToSlash(within), path)
		}
		p.packed[sha256] = err == nil
		return ignoreMissing(err)
	})
	return ignoreMissing(err)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (p *packing) add(ctx context.Context, name, path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return p.archive.Add(ctx, name, f, info.Size())
}

// log packs the log and says what is in it.
func (p *packing) log(ctx context.Context) (m *backup.Manifest, err error) {
	copied := filepath.Join(p.temporary, "log.db")
	log, err := sqlitestore.OpenReadOnly(p.folder.log())
	if err != nil {
		return nil, err
	}
	if err := errors.Join(log.Snapshot(ctx, copied), log.Close()); err != nil {
		return nil, err
	}
	report, err := verifyLog(ctx, copied, p.progress)
	if err != nil {
		return nil, err
	}
	if p.last, err = eventAt(ctx, copied, report.Head); err != nil {
		return nil, err
	}
	m = &backup.Manifest{
		Version: thisBuild().Version, Created: time.Now().UTC().Truncate(time.Second),
		Position: report.Head, Events: report.Events, Digest: report.Digest,
	}
	return m, p.add(ctx, "log.db", copied)
}

// removeLogSides removes what reading a log that nobody writes to has put beside it.
func removeLogSides(path string) error {
	return errors.Join(ignoreMissing(os.Remove(path+"-wal")), ignoreMissing(os.Remove(path+"-shm")))
}

// verifyLog reads a log that nobody writes to. An unsound one is an error.
func verifyLog(ctx context.Context, path string, progress func(events int)) (r store.Report, err error) {
	log, err := sqlitestore.OpenReadOnly(path)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if r, err = store.Verify(ctx, log, progress); err != nil {
		return r, err
	}
	if n := len(r.Problems) + r.More; n > 0 {
		return r, fmt.Errorf("%w: the log has %d problems, the first at %s: %s; parley store verify lists them", errDifference, n, r.Problems[0].Position, r.Problems[0].What)
	}
	return r, nil
}

// eventAt is the id of the event at a position of a log; zero: it is empty.
func eventAt(ctx context.Context, path string, at events.Position) (id events.ID, err error) {
	if at.IsZero() {
		return id, nil
	}
	log, err := sqlitestore.OpenReadOnly(path)
	if err != nil {
		return id, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	for r, err := range log.ReadFrom(ctx, at, store.Forwards, store.Filter{}) {
		return r.ID, err
	}
	return id, nil
}
