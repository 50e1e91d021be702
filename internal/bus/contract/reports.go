package contract

// reportAddress is where carriers hand over what comes back; see bus.SubjectChannels.
const reportAddress = "parley.channels.{adapter}."

// reports are the kinds of what carriers hand over.
var reports = map[string]schema{
	"inbound": {
		"type": "object", "additionalProperties": false, "required": []string{"id", "from", "to"},
		"properties": schema{
			"id":   schema{"type": "string", "maxLength": 255, "description": "the carrier's; the same message has the same"},
			"type": schema{"type": "string", "description": "sms, whatsapp, …; by the addresses when it is left out"},
			"from": schema{"type": "string", "maxLength": 256},
			"to":   schema{"type": "array", "minItems": 1, "maxItems": 19, "items": schema{"type": "string", "maxLength": 256}, "description": "more than one of a native group MMS"},
			"body": schema{"type": "string"},
			"media": schema{"type": "array", "maxItems": 10, "items": schema{"type": "object", "required": []string{"url"}, "properties": schema{
				"url": schema{"type": "string"}, "content_type": schema{"type": "string"},
			}}},
			"at": schema{"type": "string", "format": "date-time", "description": "when it was written"},
		},
	},
	"status": {
		"type": "object", "additionalProperties": false, "required": []string{"id", "status"},
		"properties": schema{
			"id":         schema{"type": "string", "maxLength": 255, "description": "the carrier's id of the message that was sent"},
			"to":         schema{"type": "string", "maxLength": 256, "description": "address of the recipient; needed where there is more than one"},
			"status":     schema{"type": "string", "enum": []string{"queued", "sent", "delivered", "read", "failed", "undelivered"}},
			"error_code": schema{"type": "integer"},
			"at":         schema{"type": "string", "format": "date-time"},
		},
	},
}

// taken answers a report: {"ok":true}, or an error like a command's.
var taken = schema{
	"type": "object", "required": []string{"ok"},
	"properties": schema{"ok": schema{"type": "boolean"}, "error": schema{"type": "object", "description": "as in " + replyPath}},
}

func addReportChannels(all schema) {
	all["taken"] = schema{"address": nil, "description": "where the sender wants it", "messages": schema{"taken": ref("messages", "taken")}}
	for kind := range reports {
		all[kind] = schema{
			"address": reportAddress + kind, "description": "what came back to a channel adapter; a NATS request, answered when it is durable",
			"messages":   schema{kind: ref("messages", kind)},
			"parameters": schema{"adapter": schema{"description": "name of the adapter"}},
		}
	}
}

func addReportOperations(all schema) {
	for kind := range reports {
		all[kind] = schema{"action": "receive", "channel": channelRef(kind), "security": openTo(), "reply": schema{"channel": channelRef("taken")}}
	}
}

func addReportMessages(all schema) {
	all["taken"] = schema{"name": "taken", "payload": taken}
	for kind, payload := range reports {
		all[kind] = schema{"name": kind, "payload": payload}
	}
}
