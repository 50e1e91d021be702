package rest

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// written names the parameter that a field of a command came from, as the caller wrote it,
// also at the beginning of the message. What came from none is left as it is.
func (p *problem) written(r route) {
	field := p.details.Field
	name := r.paramOf(field)
	if name == "" {
		return
	}
	p.details.Field = name
	if rest, ok := strings.CutPrefix(p.message, field); ok && strings.IndexAny(rest, " :") == 0 {
		p.message = name + rest
	}
}

// places are the numbers of entries in the path to a field.
var places = regexp.MustCompile(`\[\d+\]|\.\d+`)

// paramOf returns the parameter that fills a field of the operation's command, or the list
// or group that it is in; empty if there is none.
func (r route) paramOf(field string) string {
	path := places.ReplaceAllString(field, "")
	for path = strings.TrimPrefix(path, "conversation."); path != ""; {
		for _, p := range r.params {
			if p.alias != "" && p.alias == field {
				return field // as it was written
			}
			if slices.Contains(p.fields(), path) {
				return p.name
			}
		}
		path = path[:max(0, strings.LastIndexByte(path, '.'))]
	}
	if i := slices.IndexFunc(r.params, func(p param) bool { return p.kind == jsonLists }); i >= 0 && field != "" && unicode.IsLower(rune(field[0])) {
		return r.params[i].name // it has fields of its own
	}
	return ""
}

// fields are the paths of what the parameter fills in commands.
func (p param) fields() []string {
	if known, ok := otherwiseCalled[p.name]; ok {
		return known
	}
	return []string{snake(p.name)}
}

// otherwiseCalled are the fields whose names are not their parameters' in snake case.
var otherwiseCalled = map[string][]string{
	"MessagingServiceSid":    {"messaging_service"},
	"Bindings.Email.Address": {"email.address"},
	"Bindings.Email.Name":    {"email.name"},
	"RoleSid":                {"role"},
	"MediaSid":               {"media"},
	"ContentSid":             {"content"},
	"Permission":             {"permissions"},
	"AddressCountry":         {"country"},
	"LastReadMessageIndex":   {"last_read_message_index", "index"},

	"MessagingBinding.Address":          {"address"},
	"MessagingBinding.ProxyAddress":     {"proxy_address"},
	"MessagingBinding.ProjectedAddress": {"projected_address"},
	"MessagingBinding.Level":            {"level"},
	"MessagingBinding.Name":             {"name"},

	"Target":                    {"webhook.target", "target"},
	"Configuration.Url":         {"webhook.url", "url"},
	"Configuration.Method":      {"webhook.method", "method"},
	"Configuration.Filters":     {"webhook.filters", "filters"},
	"Configuration.Triggers":    {"webhook.triggers", "triggers"},
	"Configuration.FlowSid":     {"webhook.flow_sid", "flow_sid"},
	"Configuration.ReplayAfter": {"webhook.replay_after"},

	"AutoCreation.ConversationServiceSid": {"auto_creation.service"},
	"AutoCreation.StudioFlowSid":          {"auto_creation.studio_flow"},
	"AutoCreation.StudioRetryCount":       {"auto_creation.studio_retries"},

	"DefaultChatServiceSid":             {"default_service"},
	"DefaultMessagingServiceSid":        {"default_messaging_service"},
	"DefaultConversationCreatorRoleSid": {"creator_role"},
	"DefaultConversationRoleSid":        {"conversation_role"},
	"DefaultChatServiceRoleSid":         {"service_role"},

	"Certificate":                   {"secrets.certificate"},
	"PrivateKey":                    {"secrets.private_key"},
	"ApiKey":                        {"secrets.api_key"},
	"Secret":                        {"secrets.secret"},
	"NewMessage.WithMedia.Enabled":  {"with_media.enabled"},
	"NewMessage.WithMedia.Template": {"with_media.template"},
}

// snake is a parameter's name in the case of commands: UniqueName is unique_name.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 && name[i-1] != '.' {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
