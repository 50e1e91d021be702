package projections

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// manifest is the small file that says which generation is live. It is replaced
// as a whole, so a reader sees the former or the next one, never half of both.
type manifest struct {
	Name       string `json:"name"`
	Version    int    `json:"version"`
	Generation int    `json:"generation"`       // number of the live one; rising, never used again
	File       string `json:"file"`             // the live one
	Former     string `json:"former,omitempty"` // kept for rollback
}

func manifestPath(dir string) string { return filepath.Join(dir, Name+".json") }

// readManifest returns ok = false when there is none.
func readManifest(dir string) (m manifest, ok bool, err error) {
	path := manifestPath(dir)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, nil
	}
	if err != nil {
		return m, false, fmt.Errorf("read models: %w", err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, false, &DamagedError{Path: path, Reason: err.Error()}
	}
	if m.Name != Name || m.File == "" || filepath.Base(m.File) != m.File {
		return m, false, &DamagedError{Path: path, Reason: "it does not name a read model"}
	}
	return m, true, nil
}

// writeManifest replaces the file so that a power cut leaves one or the other.
func writeManifest(dir string, m manifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	path := manifestPath(dir)
	temporary := path + ".next"
	if err := os.WriteFile(temporary, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	if err := syncFile(temporary); err != nil {
		return fmt.Errorf("sync manifest: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("replace manifest: %w", err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// removeLeftovers deletes every file of the projection that the manifest does
// not name: unfinished generations and ones older than the former.
func removeLeftovers(dir string, m manifest) error {
	paths, err := filepath.Glob(filepath.Join(dir, Name+"-v*-g*.db"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if base := filepath.Base(path); base != m.File && base != m.Former {
			if err := removeDatabase(path); err != nil {
				return fmt.Errorf("remove former read model: %w", err)
			}
		}
	}
	return nil
}

// highestGeneration looks at the files, so that a number is not used twice when
// the manifest is gone.
func highestGeneration(dir string) int {
	paths, _ := filepath.Glob(filepath.Join(dir, Name+"-v*-g*.db")) // the pattern is well-formed
	highest := 0
	for _, path := range paths {
		_, tail, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".db"), "-g")
		var n int
		if _, err := fmt.Sscanf(tail, "%d", &n); err == nil {
			highest = max(highest, n)
		}
	}
	return highest
}
