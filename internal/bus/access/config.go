package access

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// WriteConfig writes what nats-server's configuration needs for a token, from the rules
// that the embedded server is held to: for a broker that is not Parley's own, which
// therefore must keep its clients in by itself. The account names the one that Parley
// uses there. The user's password comes from the environment of that server, in a
// variable that is named like the token in capitals.
// Source of the form: https://docs.nats.io/running-a-nats-service/configuration/securing_nats/accounts
func (t *Token) WriteConfig(w io.Writer, account string) error {
	rules := t.Rules().elsewhere()
	c := &config{}
	c.line("# Add to the account that Parley uses, here %s:", account)
	c.line("exports: [")
	for _, r := range rules.Requests {
		c.line("  { service: %q, accounts: [%s]%s }", r.Outside, t.ID, answers(r))
	}
	for _, r := range rules.Messages {
		c.line("  { stream: %q, accounts: [%s] }", r.Outside, t.ID)
	}
	c.line("]")
	c.line("")
	c.line("# Add to accounts:")
	c.line("%s: {", t.ID)
	c.line("  users: [ {")
	c.line("    user: %q, password: $%s", t.ID, strings.ToUpper(t.ID))
	c.line("    permissions: {")
	c.line("      publish: { allow: [%s] }", quoted(rules.Publish))
	c.line("      subscribe: { allow: [%s] }", quoted(rules.Subscribe))
	c.line("    }")
	c.line("  } ]")
	c.line("  imports: [")
	for _, r := range rules.Requests {
		c.line("    { service: { account: %s, subject: %q }, to: %q }", account, r.Outside, r.Inside)
	}
	for _, r := range rules.Messages {
		c.line("    { stream: { account: %s, subject: %q }, to: %q }", account, r.Outside, r.Inside)
	}
	c.line("  ]")
	c.line("}")
	if t.Has(Events) {
		c.line("")
		c.line("# Clients use %s in place of $JS.API as the prefix of JetStream's requests.", APIPrefix)
		c.line("# The consumer, to be made once by who may do everything there:")
		c.line("#   nats consumer add %s %s --pull --ack explicit --deliver all --filter '%s' --defaults", EventStream, t.Consumer(), t.EventFilter())
	}
	_, err := io.WriteString(w, c.text.String())
	return err
}

// elsewhere are the rules without the requests that another broker answers by itself.
func (r Rules) elsewhere() Rules {
	r.Publish = slices.DeleteFunc(r.Publish, func(subject string) bool { return strings.HasPrefix(subject, apiPrefix) })
	r.Requests = slices.DeleteFunc(r.Requests, func(r Route) bool { return strings.HasPrefix(r.Inside, apiPrefix) })
	return r
}

type config struct{ text strings.Builder }

func (c *config) line(format string, args ...any) { fmt.Fprintf(&c.text, format+"\n", args...) }

func answers(r Route) string {
	if r.Many {
		return `, response_type: "stream"`
	}
	return ""
}

func quoted(subjects []string) string {
	all := make([]string, len(subjects))
	for i, s := range subjects {
		all[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(all, ", ")
}
