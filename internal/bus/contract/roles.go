package contract

import (
	"slices"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/bus/access"
)

// roles say what a token may do, from the rules that the embedded broker is held to.
// {account} is the token's, {token} its id, {actors} the kinds it was given.
func roles() schema {
	return schema{
		string(access.Commands): roleOf(access.Commands,
			"Send commands of one account over both doors, and hear the replies. The account comes from the connection: a command need not name it, and may name no other one but a sub-account of it (not_found). "+
				"Actors are of the kinds the token was given (default: api; never timer or system; "+bus.CodeActor+"). account.create, account.set-auth-token and apikey.* are refused ("+bus.CodeCommand+"). "+
				"A command nobody can read is a refusal, not a dead letter. Nats-Msg-Id is recognised within the account, other headers of the broker are not passed on."),
		string(access.Events): roleOf(access.Events,
			"Read the events of one account: live by subscribing, durably from a pull consumer that Parley keeps under the token's id in "+access.EventStream+" (explicit acknowledgement, from the first event that the stream has)."),
		string(access.Everything): schema{
			"description": "Whatever there is on the broker: all accounts, all kinds of actors, channels of carriers, dead letters, streams and consumers. The token in secrets/bus-token has this role.",
			"publish":     []string{">"}, "subscribe": []string{">"},
		},
	}
}

func roleOf(r access.Role, description string) schema {
	sample := access.Token{ID: "{token}", Roles: []access.Role{r}, Account: "{account}", Actors: []string{"{actors}"}}
	rules := sample.Rules()
	routes := []schema{}
	for _, route := range slices.Concat(rules.Requests, rules.Messages) {
		routes = append(routes, schema{"inside": route.Inside, "outside": route.Outside})
	}
	return schema{
		"description": description, "publish": rules.Publish, "subscribe": rules.Subscribe,
		"routes": routes,
	}
}

// openTo names who may take part in an operation.
func openTo(roles ...access.Role) []schema {
	list := []schema{}
	for _, r := range append(roles, access.Everything) {
		list = append(list, ref("securitySchemes", string(r)))
	}
	return list
}

func securitySchemes() schema {
	all := schema{}
	for _, r := range access.Roles {
		all[string(r)] = schema{"type": "apiKey", "in": "user", "description": "NATS token with the role " + string(r) + "; see x-roles"}
	}
	return all
}
