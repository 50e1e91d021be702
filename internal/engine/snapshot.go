package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
)

// Snapshots is a disposable cache of folded states. It may forget anything at
// any time and is never trusted over the log. Save keeps no reference to data;
// both report trouble by doing nothing.
type Snapshots interface {
	Load(ctx context.Context, stream, schema string) (data []byte, found bool)
	Save(ctx context.Context, stream, schema string, data []byte)
}

// foldVersion changes when a fold gives the same fields another meaning, so
// that snapshots of the former meaning are not read.
const foldVersion = 1

// schemaOf hashes the shape of a state: names and types of all fields, all the
// way down. A snapshot of another shape is not read.
func schemaOf[S any]() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d ", foldVersion)
	describe(func(s string) { h.Write([]byte(s)) }, reflect.TypeFor[folded[S]](), map[reflect.Type]bool{})
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func describe(write func(string), t reflect.Type, seen map[reflect.Type]bool) {
	write(t.String() + ";")
	if seen[t] {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			write(t.Field(i).Name + ":")
			describe(write, t.Field(i).Type, seen)
		}
	case reflect.Map:
		describe(write, t.Key(), seen)
		describe(write, t.Elem(), seen)
	case reflect.Slice, reflect.Array, reflect.Pointer:
		describe(write, t.Elem(), seen)
	default: // the name says it all
	}
}
