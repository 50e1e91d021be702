package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/internal/backup"
)

func backupVerify() *cobra.Command {
	c := &cobra.Command{
		Use: "verify FILE", Short: "Check that a backup can be restored", Args: oneArgument("file"),
		Long: `Check that a backup can be restored, by restoring it into a folder that is removed again:
every file has the size and SHA-256 of the manifest, and the log is read, checked and has
the digest it had. The room that the backup takes unpacked is needed meanwhile, beside it
or where --temp says.`,
		Example: "  parley backup verify ./parley-2026-11-25.backup",
	}
	temp := c.Flags().String("temp", "", "folder to unpack in (default: that of the file)")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *temp == "" {
			*temp = filepath.Dir(args[0])
		}
		place, err := newWorkplace(*temp, placeVerify)
		if err != nil {
			return err
		}
		m, err := unpacked(c.Context(), args[0], place.dir)
		if err = errors.Join(err, place.close()); err != nil {
			return err
		}
		return printSummary(c.OutOrStdout(), m)
	}
	return c
}

func backupRestore() *cobra.Command {
	c := &cobra.Command{
		Use: "restore FILE", Short: "Make a data folder from a backup", Args: oneArgument("file"),
		Long: `Make a data folder from a backup, which is checked as verify does before the folder gets
its name. The folder is new, or empty. The next start builds the read models, and the
embedded broker begins with nothing.`,
		Example: "  parley backup restore ./parley-2026-11-25.backup --data ./restored",
	}
	data := dataFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		target := filepath.Clean(*data)
		entries, err := os.ReadDir(target)
		switch {
		case err == nil && len(entries) > 0:
			return usage("%s is not empty: a backup is restored into a new folder", target)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
		place, err := newWorkplace(filepath.Dir(target), placeRestore)
		if err != nil {
			return err
		}
		m, err := unpacked(c.Context(), args[0], place.dir)
		if err == nil {
			err = rename(place.dir, target)
		}
		if err = errors.Join(err, place.close()); err != nil {
			return err
		}
		return printSummary(c.OutOrStdout(), m)
	}
	return c
}

// rename gives a folder its name, which nobody or an empty folder has.
func rename(dir, target string) error {
	if err := ignoreMissing(os.Remove(target)); err != nil {
		return err
	}
	if err := os.Rename(dir, target); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(target))
}

// unpacked fills an empty folder with what a backup has, and checks it.
func unpacked(ctx context.Context, file, dir string) (m *backup.Manifest, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if m, err = backup.Unpack(ctx, f, dir); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	restored := folder(dir)
	report, err := verifyLog(ctx, restored.log(), nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	account, err := restored.knownAccount()
	if err != nil {
		return nil, err
	}
	if report.Digest != m.Digest || report.Events != m.Events || account != m.Account {
		return nil, fmt.Errorf("%s: %w: log or account are not those of the manifest", file, backup.ErrDamaged)
	}
	return m, removeLogSides(restored.log())
}
