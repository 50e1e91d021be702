package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version of this program; a build sets it (see the Makefile).
var version = "0.1.0-dev"

func versionCommand() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Print the version", Args: noArguments}
	output := c.Flags().StringP("output", "o", "text", "text or json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch v := thisBuild(); *output {
		case "json", "jsonl":
			return printJSON(c.OutOrStdout(), v)
		case "text", "table":
			_, err := fmt.Fprintln(c.OutOrStdout(), strings.Join(strings.Fields("parley "+v.Version+" "+v.Commit+" "+v.Go), " "))
			return err
		default:
			return usage("unknown output format %q: text or json", *output)
		}
	}
	return c
}

// build is what a program knows of how it was built.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
}

func thisBuild() build {
	b := build{Version: version}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.Go = info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Commit = s.Value
			}
		}
	}
	return b
}
