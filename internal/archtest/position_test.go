package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// calculating are the rooms in which positions are numbers, and why.
var calculating = map[string]string{
	"events":            "positions are defined here",
	"store/memstore":    "it makes its own",
	"store/sqlitestore": "it makes its own",
	"internal/esdbwire": "the protocol names the place before an event by its number less one",
}

// A position is what the log gave: a database refuses every other number.
func TestPositionsAreNotCalculatedWith(t *testing.T) {
	for _, f := range source(t) {
		if _, ok := calculating[f.folder]; ok || f.test() || f.folder == "store/storetest" {
			continue
		}
		for _, place := range calculations(f) {
			t.Error(place)
		}
	}
}

// calculations returns every place where a file makes a position, or adds to or takes
// from a part of one.
func calculations(f file) (found []string) {
	if !slices.Contains(f.imports(), module+"/events") && !slices.Contains(f.imports(), module+"/store") {
		return nil
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if (n.Op == token.ADD || n.Op == token.SUB) && (partOfAPosition(n.X) || partOfAPosition(n.Y)) {
				found = append(found, f.at(n.Pos())+" calculates with a position: it is compared and handed back")
			}
		case *ast.IncDecStmt:
			if partOfAPosition(n.X) {
				found = append(found, f.at(n.Pos())+" calculates with a position: it is compared and handed back")
			}
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "events" && n.Sel.Name == "At" {
				found = append(found, f.at(n.Pos())+" makes a position: the log does")
			}
		}
		return true
	})
	return found
}

func partOfAPosition(n ast.Expr) bool {
	part, ok := n.(*ast.SelectorExpr)
	return ok && (part.Sel.Name == "Commit" || part.Sel.Name == "Prepare")
}

func TestCalculationsAreSeen(t *testing.T) {
	f := parse(t, "projections/a.go", "a.go", `package a
import "github.com/parley-engine/parley/events"
func a(p events.Position) {
	_ = events.At(7)
	_ = p.Commit - 1
	p.Prepare++
	_ = events.Position{Commit: p.Commit}
}`)
	require.Equal(t, []string{
		"projections/a.go:4 makes a position: the log does",
		"projections/a.go:5 calculates with a position: it is compared and handed back",
		"projections/a.go:6 calculates with a position: it is compared and handed back",
	}, calculations(f))
}
