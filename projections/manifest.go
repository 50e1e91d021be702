package projections

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// manifest is the small file that says which generation is live. It is replaced
// as a whole, so a reader sees the former or the next one, never half of both.
type manifest struct {
	Name       string `json:"name"`
	Version    int    `json:"version"`
	Generation int    `json:"generation"`       // number of the live one; rising, never used again
	File       string `json:"file"`             // the live one
	Former     string `json:"former,omitempty"` // kept for rollback

	// Left is a generation that is nothing to go back to. Who has just read its name may be
	// opening it, so it is deleted with the next swap.
	Left string `json:"left,omitempty"`

	Swapped  time.Time `json:"swapped,omitzero"`   // when File became the live one instead of Former
	Accepted string    `json:"accepted,omitempty"` // why it did although the two differed
}

// Generations are the builds of the read models that a folder has.
type Generations struct {
	Live     string    `json:"live"`               // file
	Former   string    `json:"former,omitempty"`   // file; what a rollback goes back to
	Swapped  time.Time `json:"swapped,omitzero"`   // when the live one took the former's place
	Accepted string    `json:"accepted,omitempty"` // why it did although the two differed
}

// GenerationsIn tells what a folder has; ErrNoReadModels when it has none.
func GenerationsIn(dir string) (Generations, error) {
	if _, err := livePath(dir); err != nil {
		return Generations{}, err
	}
	m, _, err := readManifest(dir)
	return Generations{Live: m.File, Former: m.Former, Swapped: m.Swapped, Accepted: m.Accepted}, err
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

func writeManifest(dir string, m manifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(manifestPath(dir), append(data, '\n'))
}

// replaceFile replaces a file so that a power cut leaves the former or the new one.
func replaceFile(path string, data []byte) error {
	temporary := path + ".next"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return fmt.Errorf("replace %s: %w", filepath.Base(path), err)
	}
	if err := syncFile(temporary); err != nil {
		return fmt.Errorf("replace %s: %w", filepath.Base(path), err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("replace %s: %w", filepath.Base(path), err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// removeLeftovers deletes every file of the projection that neither the manifest nor an
// unfinished rebuild needs.
func removeLeftovers(dir string, m manifest) error {
	needed := map[string]bool{m.File: true, m.Former: true, m.Left: true}
	if j, err := readJob(dir); err == nil && j != nil && j.Saved != nothingSaved {
		needed[j.File] = true
	}
	paths, err := filepath.Glob(filepath.Join(dir, Name+"-v*-g*.db"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if needed[filepath.Base(path)] {
			continue
		}
		if err := removeDatabase(path); err != nil {
			return fmt.Errorf("remove former read model: %w", err)
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
