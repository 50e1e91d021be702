package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version of this program; a build sets it (see the Makefile).
var version = "0.1.0-dev"

func versionCommand() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Print the version", Args: noArguments}
	output := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		v := map[string]string{"version": version}
		if info, ok := debug.ReadBuildInfo(); ok {
			v["go"] = info.GoVersion
			for _, s := range info.Settings {
				if s.Key == "vcs.revision" {
					v["commit"] = s.Value
				}
			}
		}
		if *output == "json" || *output == "jsonl" {
			return printJSON(c.OutOrStdout(), v)
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "parley %s %s %s\n", v["version"], v["commit"], v["go"])
		return err
	}
	return c
}
