package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// damage is something that happens to a file of a data folder, and what the next start
// makes of it.
type damage struct {
	file string // in the folder; * stands for any name
	how  func(t *testing.T, path string)
	says string // with the file's name; empty: it starts, and the file is made anew
}

func removed(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }

func holding(text string) func(t *testing.T, path string) {
	return func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
}

var (
	garbage = holding("This is some other file, and long enough to be one.\n")
	empty   = holding("")
	// torn has pages of another kind in its middle.
	torn = func(t *testing.T, path string) {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		for i := 4096; i < len(data); i++ {
			data[i] = 0xa5
		}
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
)

// mended is damage that the broker's keeper makes good: the start says so, and the check
// fails until somebody has looked.
const mended = "bus store was damaged"

// isGone is a part that nothing can make good: the start goes on and says what is lost.
const isGone = "a part of the data folder is not there"

var damages = []damage{
	{"account", removed, "put the account's SID back"},
	{"account", garbage, "put the SID back"},
	{"account", empty, "put the account's SID back"},
	{"account", holding("AC" + strings.Repeat("0", 32) + "\n"), "which is not in the log"},
	{"secrets/vault-key", removed, "bring it back from a backup"},
	{"secrets/vault-key", garbage, "bring it back from a backup"},
	{"secrets/vault-key", empty, "bring it back from a backup"},
	{"secrets/vault-key", holding(strings.Repeat("ab", 32) + "\n"), "is not the key that the log's secrets were sealed with"},
	{"secrets/bus-token", empty, "remove it, and the next start makes another"},
	{"secrets/bus-token", garbage, "remove it, and the next start makes another"},
	{"secrets/bus-token", removed, ""},
	{"secrets/admin-token", empty, "remove it, and the next start makes another"},
	{"secrets/admin-token", removed, ""},
	{"secrets/media-key", empty, "remove it, and the next start makes another"},
	{"secrets/media-key", garbage, "remove it, and the next start makes another"},
	{"secrets/media-key", removed, ""},
	{"secrets/auth-token", removed, ""},
	{"reactors/webhooks.db", garbage, "move it away"},
	{"reactors/webhooks.db", torn, "move it away"},
	{"reactors/webhooks.db", removed, isGone},
	{"reactors/channels-in.db", removed, isGone},
	{"reactors/channels-out.db", removed, isGone},
	{"bus/parley-bus", removed, "missing, damaged, or of another version"},
	{"reactors/channels-in.db", garbage, "move it away"},
	{"reactors/channels-out.db", garbage, "move it away"},
	{"reactors/channels-in.db-mark", removed, ""},
	{"reactors/channels-in.db-mark", garbage, ""},
	{"reactors/channels-out.db-mark", removed, ""},
	{"reactors/webhooks.db-mark", removed, ""},
	{"read/main.json", garbage, "projection rebuild"},
	{"read/main.json", removed, ""},
	{"read/main-*-g2.db", garbage, "projection rebuild"},
	{"read/main-*-g2.db", empty, "projection rebuild"},
	{"read/main-*-g2.db", removed, ""},
	{"read/main-*-g1.db", garbage, ""}, // the former one
	{"snapshots.db", garbage, ""},
	{"snapshots.db", removed, ""},
	{"last-backup.json", garbage, "remove it"},
	{"last-backup.json", removed, ""},
	{"log.db", garbage, "is not a Parley log"},
	{"log.db", removed, "bring log.db back"},
	{"log.db.lock", removed, ""},
	{"bus/parley-bus", garbage, "damaged, or of another version"},
	{"bus/lock", removed, ""},
	{"bus/jetstream/*/streams/PARLEY_COMMANDS/obs/*/o.dat", garbage, mended},
	{"bus/jetstream/*/streams/PARLEY_COMMANDS/obs/*/o.dat", holding("\x16\x02"), mended},
	{"bus/jetstream/*/streams/PARLEY_COMMANDS/obs/*/meta.inf", garbage, mended},
	{"bus/jetstream/*/streams/PARLEY_COMMANDS/obs/*/meta.sum", empty, mended},
	{"bus/jetstream/*/streams/PARLEY_COMMANDS/meta.inf", garbage, mended},
	{"bus/jetstream/*/streams/PARLEY_COMMANDS/meta.sum", garbage, mended},
	{"bus/jetstream/*/streams/PARLEY_EVENTS/meta.inf", removed, ""}, // published again from the log,
	{"bus/jetstream/*/streams/KV_PARLEY_CHECKPOINTS/meta.inf", empty, mended},
	{"bus/progress", garbage, mended},
	{"bus/progress", removed, ""},
}

// others are files whose damage is for other tests, or which have no content.
var others = []string{"log.db-wal", "log.db-shm", "bus/jetstream/*/streams/*/msgs/*", "bus/jetstream/*/streams/*/meta.*", "bus/jetstream/*/streams/*/obs/*/*", "endpoints.json"}

func TestEveryFileOfTheDataFolderIsMissed(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "data")
	server := serving(t, whole)
	_, said, code := parley(t, "command", "send", "conversation.create", "--durable", "--data", whole)
	require.Equal(t, exitOK, code, said)
	server.stop(t)
	_, said, code = parley(t, "backup", "create", "--data", whole, "--out", filepath.Join(t.TempDir(), "x"))
	require.Equal(t, exitOK, code, said)
	requireAllNamed(t, whole)
	for _, d := range damages {
		t.Run(d.file, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			require.NoError(t, os.CopyFS(data, os.DirFS(whole)))
			found, err := filepath.Glob(filepath.Join(data, filepath.FromSlash(d.file)))
			require.NoError(t, err)
			require.Len(t, found, 1, d.file)
			d.how(t, found[0])
			if d.says == "" {
				serving(t, data).stop(t)
				return
			}
			if d.says == isGone {
				server := serving(t, data)
				server.stop(t)
				require.Contains(t, server.errOut.String(), isGone)
				require.Contains(t, server.errOut.String(), filepath.Base(found[0]))
				return
			}
			if d.says == mended {
				server := serving(t, data)
				_, _, code := parley(t, "check", "damage", "--data", data)
				require.NotEqual(t, exitOK, code)
				server.stop(t)
				require.Contains(t, server.errOut.String(), mended)
				return
			}
			_, said, code := parley(t, "serve", "--data", data)
			require.Equal(t, exitFailure, code, said)
			require.Contains(t, said, d.says)
			require.Contains(t, said, filepath.Base(found[0]))
		})
	}
}

// requireAllNamed fails for a file that no row is about.
func requireAllNamed(t *testing.T, data string) {
	t.Helper()
	require.NoError(t, fs.WalkDir(os.DirFS(data), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, row := range damages {
			if ok, _ := filepath.Match(row.file, path); ok {
				return nil
			}
		}
		for _, pattern := range others {
			if ok, _ := filepath.Match(pattern, path); ok {
				return nil
			}
		}
		t.Errorf("%s: what becomes of a start without it, or with another one in its place?", path)
		return nil
	}))
}
