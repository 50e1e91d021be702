package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// comments are the doc comments of the structs of a package.
type comments struct {
	types  map[string]string            // by name of the struct
	fields map[string]map[string]string // by name of the struct and of the field
}

// readComments parses the files of one folder, tests excepted.
func readComments(folder string) (comments, error) {
	c := comments{types: make(map[string]string), fields: make(map[string]map[string]string)}
	files, err := os.ReadDir(folder)
	if err != nil {
		return c, err
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(folder, f.Name()), nil, parser.ParseComments)
		if err != nil {
			return c, fmt.Errorf("read comments: %w", err)
		}
		for _, decl := range parsed.Decls {
			if types, ok := decl.(*ast.GenDecl); ok && types.Tok == token.TYPE {
				c.collect(types)
			}
		}
	}
	return c, nil
}

func (c comments) collect(decl *ast.GenDecl) {
	for _, spec := range decl.Specs {
		named := spec.(*ast.TypeSpec) // a type declaration holds nothing else
		structure, ok := named.Type.(*ast.StructType)
		if !ok {
			continue
		}
		c.types[named.Name.Name] = decl.Doc.Text()
		fields := make(map[string]string)
		for _, field := range structure.Fields.List {
			for _, name := range field.Names {
				fields[name.Name] = line(field.Doc.Text() + " " + field.Comment.Text())
			}
		}
		c.fields[named.Name.Name] = fields
	}
}

// about is the doc comment of a struct without its name, as a sentence.
func (c comments) about(name string) (string, error) {
	text, found := strings.CutPrefix(line(c.types[name]), name+" ")
	if !found || text == "" {
		return "", fmt.Errorf("%s has no doc comment that begins with its name", name)
	}
	return strings.ToUpper(text[:1]) + text[1:], nil
}

// line joins the lines of a comment.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }
