package archtest

import (
	"go/ast"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// loud are functions of silent packages that look at the world or act on it.
var loud = map[string][]string{
	"time": {"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker", "LoadLocation", "Local"},
	"fmt":  {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
}

func TestDomainAndEventsAreSilent(t *testing.T) {
	for _, f := range source(t) {
		if !f.test() && (in(f.folder, "domain") || in(f.folder, "events")) {
			for _, noise := range noises(f) {
				t.Error(noise)
			}
		}
	}
}

// noises returns every place where the file starts a goroutine, asks the clock
// or prints.
func noises(f file) (found []string) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, f.at(n.Pos())+" starts a goroutine: whoever decides does not run things")
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok && slices.Contains(loud[pkg.Name], n.Sel.Name) {
				found = append(found, f.at(n.Pos())+" uses "+pkg.Name+"."+n.Sel.Name+": time and ids arrive in the command")
			}
		case *ast.CallExpr:
			if builtin, ok := n.Fun.(*ast.Ident); ok && strings.HasPrefix(builtin.Name, "print") {
				found = append(found, f.at(n.Pos())+" prints")
			}
		}
		return true
	})
	return found
}

func TestNoisesAreHeard(t *testing.T) {
	f := parse(t, "domain/a.go", "a.go", `package a
import ("fmt"; "time")
func a() {
	go a()
	fmt.Println(time.Now())
	println(time.Unix(0, 0), fmt.Sprint(1))
}`)
	require.Equal(t, []string{
		"domain/a.go:4 starts a goroutine: whoever decides does not run things",
		"domain/a.go:5 uses fmt.Println: time and ids arrive in the command",
		"domain/a.go:5 uses time.Now: time and ids arrive in the command",
		"domain/a.go:6 prints",
	}, noises(f))
}
