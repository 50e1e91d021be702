package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	root   = "../.."
	module = "github.com/parley-engine/parley"
)

// file is one parsed Go file.
type file struct {
	path   string // below the module, with slashes: domain/role/role.go
	folder string // domain/role
	ast    *ast.File
	set    *token.FileSet
}

func (f file) test() bool { return strings.HasSuffix(f.path, "_test.go") }

// imports returns the paths of the file's imports.
func (f file) imports() (paths []string) {
	for _, i := range f.ast.Imports {
		path, _ := strconv.Unquote(i.Path.Value) // the parser accepted it
		paths = append(paths, path)
	}
	return paths
}

// lines returns how many lines the node covers.
func (f file) lines(n ast.Node) int {
	return f.set.Position(n.End()).Line - f.set.Position(n.Pos()).Line + 1
}

// at names a place in the file.
func (f file) at(pos token.Pos) string {
	return f.path + ":" + strconv.Itoa(f.set.Position(pos).Line)
}

// source parses every Go file of the module.
func source(t *testing.T) (files []file) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		below, err := filepath.Rel(root, path)
		require.NoError(t, err)
		files = append(files, parse(t, filepath.ToSlash(below), path, nil))
		return nil
	}))
	require.NotEmpty(t, files)
	return files
}

// parse reads the file at path, or the text instead of it.
func parse(t *testing.T, below, path string, text any) file {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
	require.NoError(t, err)
	folder := filepath.ToSlash(filepath.Dir(below))
	return file{path: below, folder: folder, ast: parsed, set: set}
}

// in reports whether the folder is the room or lies in it.
func in(folder, room string) bool { return folder == room || strings.HasPrefix(folder, room+"/") }
