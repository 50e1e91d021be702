package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// view is how one kind of row is shown: the columns of a table and of CSV.
// JSON shows the row itself.
type view[R any] struct {
	columns []string
	cells   func(R) []string
}

// outputFlag adds -o to a command.
func outputFlag(c *cobra.Command) *string {
	return c.Flags().StringP("output", "o", "", "table, json, jsonl or csv (default: table on a terminal, jsonl when piped)")
}

func format(w io.Writer, wanted string) string {
	if wanted != "" {
		return wanted
	}
	if isTerminal(w) {
		return "table"
	}
	return "jsonl"
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// show writes rows as they come; an error of the source ends it.
func show[R any](w io.Writer, wanted string, v view[R], rows func(yield func(R) error) error) error {
	switch f := format(w, wanted); f {
	case "table":
		return showTable(w, v, rows)
	case "jsonl":
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		return rows(func(r R) error { return encoder.Encode(r) })
	case "json":
		return showJSON(w, rows)
	case "csv":
		return showCSV(w, v, rows)
	default:
		return usage("unknown output format %q: table, json, jsonl or csv", f)
	}
}

func showTable[R any](w io.Writer, v view[R], rows func(func(R) error) error) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.ToUpper(strings.Join(v.columns, "\t")))
	err := rows(func(r R) error {
		_, err := fmt.Fprintln(t, strings.Join(clean(v.cells(r)), "\t"))
		return err
	})
	if flushErr := t.Flush(); err == nil {
		err = flushErr
	}
	return err
}

// clean keeps text of strangers from moving the cursor of a terminal.
func clean(cells []string) []string {
	for i, c := range cells {
		cells[i] = strings.Map(func(r rune) rune {
			if r < 0x20 || r == 0x7f {
				return ' '
			}
			return r
		}, c)
	}
	return cells
}

func showJSON[R any](w io.Writer, rows func(func(R) error) error) error {
	all := []R{}
	if err := rows(func(r R) error { all = append(all, r); return nil }); err != nil {
		return err
	}
	return printJSON(w, all)
}

func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

func showCSV[R any](w io.Writer, v view[R], rows func(func(R) error) error) error {
	c := csv.NewWriter(w)
	if err := c.Write(v.columns); err != nil {
		return err
	}
	if err := rows(func(r R) error { return c.Write(v.cells(r)) }); err != nil {
		return err
	}
	c.Flush()
	return c.Error()
}

// showOne writes one row: the object itself, or a table of one line.
func showOne[R any](w io.Writer, wanted string, v view[R], row R) error {
	if f := format(w, wanted); f == "json" {
		return printJSON(w, row)
	}
	return show(w, wanted, v, func(yield func(R) error) error { return yield(row) })
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
