package salvage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Scrub reads the blocks of a stream, "*" for all, while a broker has them open, and names
// damage. Of the block that is being written to the end does not count.
func Scrub(dir, name string) (found []string, err error) {
	streams, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", name))
	if err != nil {
		return nil, err
	}
	for _, path := range streams {
		blocks, err := blocksOf(path)
		if err != nil {
			return found, err
		}
		for i, b := range blocks {
			what, err := scrubBlock(filepath.Base(path), b, i == len(blocks)-1)
			if err != nil {
				return found, err
			}
			if what != "" {
				found = append(found, what)
			}
		}
	}
	return found, nil
}

// scrubBlock looks twice: a block that was replaced meanwhile is read in the middle of it.
func scrubBlock(stream string, b *block, last bool) (what string, err error) {
	var before []damage
	for range 2 {
		bad, err := damages(stream, b, last)
		if err != nil || len(bad) == 0 || before != nil && !slices.Equal(before, bad) {
			return "", err
		}
		before = bad
	}
	return fmt.Sprintf("%s: %d places in %s are damaged, the first at byte %d", stream, len(before), filepath.Base(b.path), before[0].from), nil
}

func damages(stream string, b *block, last bool) ([]damage, error) {
	content, err := os.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // purged meanwhile
	}
	if err != nil {
		return nil, err
	}
	sum, err := blockHash(stream, b.index)
	if err != nil {
		return nil, err
	}
	whole, bad := walk(content, sum)
	if n := len(bad); n > 0 && last && bad[n-1].to == len(content) {
		bad = bad[:n-1]
	}
	at := 0
	for _, r := range whole {
		if r.mended {
			bad = append(bad, damage{at, at + len(r.raw)}) // near there
		}
		at += len(r.raw)
	}
	return bad, nil
}
