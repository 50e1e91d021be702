package main

import "github.com/spf13/cobra"

var calls = jobKind{file: webhooksFile, command: "webhook", one: "a call of a webhook", many: "calls of webhooks"}

func webhookCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "webhook", Short: "Look after calls of webhooks, and receive them for development",
		Long: `Look after the calls of webhooks that a server makes after something has happened:
those that wait, those that were given up and are parked, and what came of each attempt.
Works with and without a server. "listen" is a receiver for development.`,
	}
	c.AddCommand(calls.attempts(), calls.retry(), calls.discard(), webhookListen())
	return c
}
