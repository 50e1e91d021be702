package contract

import (
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/bus/access"
)

// asyncAPI is the document, in the order in which it is read.
type asyncAPI struct {
	AsyncAPI           string `yaml:"asyncapi"`
	Info               schema `yaml:"info"`
	DefaultContentType string `yaml:"defaultContentType"`
	Servers            schema `yaml:"servers"`
	Channels           schema `yaml:"channels"`
	Operations         schema `yaml:"operations"`
	Components         schema `yaml:"components"`
	Roles              schema `yaml:"x-roles"`
}

const about = `Commands come in through two doors and are carried out in order per aggregate, in parallel across them.
**call** is a NATS request: nothing is stored before the reply, so repeat it with the same command id when in doubt.
**send** is a JetStream stream: once acknowledged the command will be carried out; the reply goes to the header Parley-Reply-To.
The envelope is in headers (then the body is the command's own JSON object) or in the body (schemas/envelope.json). Headers win.
The last token of the subject is the aggregate's id, or "new" for a command that creates one without choosing its id.
Events are CloudEvents 1.0 in binary mode, delivered at least once: recognise repeats by ce-id and gaps by ce-sequence.
Tokens have roles, which the broker holds them to (x-roles): commands of an account, events of an account, everything.
A token of an account has a world of its own: its clients are heard by Parley alone and hear nobody else. Replies go to
_INBOX.> or _INBOX_{token}.>, whichever prefix the client uses, and to no other subject.
`

func document3(commands []CommandType, types []string) ([]byte, error) {
	return yamlBytes(asyncAPI{
		AsyncAPI:           "3.0.0",
		Info:               schema{"title": "Parley bus", "version": "1.0.0", "description": about, "license": schema{"name": "Apache-2.0"}},
		DefaultContentType: "application/json",
		Servers: schema{"embedded": schema{
			"host": "127.0.0.1:4222", "protocol": "nats",
			"description": "the server inside the engine; its address and a token for everything are in the data folder; parley bus token create makes others",
			"security":    openTo(access.Commands, access.Events),
		}},
		Channels:   channels(commands, types),
		Operations: operations(types),
		Roles:      roles(),
		Components: schema{
			"messages":        messages(commands, types),
			"schemas":         schema{"commandHeaders": commandHeaders(), "eventHeaders": eventHeaders()},
			"securitySchemes": securitySchemes(),
			"correlationIds": schema{"command": schema{
				"location": "$message.header#/" + bus.HeaderCommandID, "description": "replies to durable commands carry it, too",
			}},
		},
	})
}

func ref(kind, name string) schema { return schema{"$ref": "#/components/" + kind + "/" + name} }

func channelRef(name string) schema { return schema{"$ref": "#/channels/" + name} }

func channels(commands []CommandType, types []string) schema {
	all := schema{
		"call":  commandChannel("parley.call.{aggregate}", "commands to be carried out now; a NATS request", commands),
		"send":  commandChannel("parley.commands.{aggregate}", "durable commands; stream "+bus.StreamCommands, commands),
		"reply": schema{"address": nil, "description": "where the sender wants it", "messages": schema{"reply": ref("messages", "reply")}},
	}
	addReportChannels(all)
	for _, name := range types {
		all[name] = schema{
			"address":     "parley.events.{account}." + name + ".{aggregate}",
			"description": "stream " + bus.StreamEvents,
			"parameters": schema{
				"account":   schema{"description": `AC…, or "` + bus.NoAccount + `"`},
				"aggregate": schema{"description": "id of the aggregate"},
			},
			"messages": schema{name: ref("messages", name)},
		}
	}
	return all
}

func commandChannel(address, description string, commands []CommandType) schema {
	list := schema{"envelope": ref("messages", "envelope")}
	for _, c := range commands {
		list[c.Name] = ref("messages", c.Name)
	}
	return schema{
		"address": address, "description": description, "messages": list,
		"parameters": schema{"aggregate": schema{"description": `id of the aggregate, or "new"`}},
	}
}

// operations are seen from Parley: it receives commands and sends events.
func operations(types []string) schema {
	all := schema{
		"call": schema{"action": "receive", "channel": channelRef("call"), "security": openTo(access.Commands), "reply": schema{"channel": channelRef("reply")}},
		"send": schema{"action": "receive", "channel": channelRef("send"), "security": openTo(access.Commands), "reply": schema{
			"channel": channelRef("reply"),
			"address": schema{"location": "$message.header#/" + bus.HeaderReplyTo},
		}},
	}
	addReportOperations(all)
	for _, name := range types {
		all["publish."+name] = schema{"action": "send", "channel": channelRef(name), "security": openTo(access.Events)}
	}
	return all
}

func messages(commands []CommandType, types []string) schema {
	all := schema{
		"reply":    schema{"name": "reply", "payload": file(replyPath)},
		"envelope": schema{"name": "envelope", "summary": "any command, for producers that set no headers", "payload": file(envelopePath)},
	}
	addReportMessages(all)
	for _, c := range commands {
		all[c.Name] = schema{
			"name": c.Name, "headers": ref("schemas", "commandHeaders"), "payload": file(commandPath(c.Name)),
			"correlationId": ref("correlationIds", "command"),
		}
	}
	for _, name := range types {
		all[name] = schema{"name": name, "headers": ref("schemas", "eventHeaders"), "payload": file(eventPath(name))}
	}
	return all
}

func file(path string) schema { return schema{"$ref": "./" + path} }

// commandHeaders are texts on the wire, whatever they stand for.
func commandHeaders() schema {
	properties := schema{
		bus.HeaderReplyTo: schema{"type": "string", "description": "subject for the reply; send door only"},
	}
	for _, f := range bus.Envelope() {
		s := memberSchema(f)
		s["type"] = "string"
		delete(s, "minimum")
		properties[f.Header] = s
	}
	return schema{"type": "object", "properties": properties, "required": []string{bus.HeaderCommand}}
}

func eventHeaders() schema {
	properties, required := schema{}, []string{}
	for _, h := range bus.EventHeaders() {
		properties[h.Header] = schema{"type": "string", "description": h.Description}
		if h.Always {
			required = append(required, h.Header)
		}
	}
	return schema{"type": "object", "properties": properties, "required": required}
}
