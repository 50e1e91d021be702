// Command generate writes the files of this repository that are made from its
// code. With -check it writes nothing and fails when one of them is not what it
// would write.
//
//	go run ./internal/generate [-check]
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/parley-engine/parley/internal/httpapi/rest/openapi"
)

// product is one generated file: its path below the module's folder, and how
// its bytes are made.
type product struct {
	path string
	make func(root string) ([]byte, error)
}

// products is everything that is generated.
func products() ([]product, error) {
	contracts, err := contractFiles()
	return append(contracts,
		product{"docs/events.md", eventsPage},
		product{"docs/openapi.yaml", func(string) ([]byte, error) { return openapi.Render() }},
	), err
}

func main() {
	check := flag.Bool("check", false, "write nothing; fail if a file is not up to date")
	flag.Parse()
	root, err := moduleRoot()
	if err == nil {
		var all []product
		if all, err = products(); err == nil {
			err = run(root, all, *check)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// run makes every product and writes it, or compares it with what is there.
func run(root string, products []product, check bool) error {
	var drifted []string
	for _, p := range products {
		data, err := p.make(root)
		if err != nil {
			return fmt.Errorf("%s: %w", p.path, err)
		}
		same, err := put(filepath.Join(root, p.path), data, check)
		if err != nil {
			return err
		}
		if !same {
			drifted = append(drifted, p.path)
		}
	}
	if check && len(drifted) > 0 {
		return fmt.Errorf("not up to date, run go run ./internal/generate:\n  %s", strings.Join(drifted, "\n  "))
	}
	return nil
}

// put writes the file unless it only checks, and reports whether it already
// was as it should be.
func put(path string, data []byte, check bool) (same bool, err error) {
	present, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	same = err == nil && bytes.Equal(present, data)
	if same || check {
		return same, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, err
	}
	return false, os.WriteFile(path, data, 0o644)
}

// moduleRoot is the nearest folder upwards that holds go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, gone := os.Stat(filepath.Join(dir, "go.mod")); gone == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod here or above")
		}
		dir = parent
	}
	return "", err
}
