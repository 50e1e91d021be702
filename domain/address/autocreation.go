package address

import (
	"cmp"
	"slices"
	"strings"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// Types of autocreation.
const (
	autoDefault = "default"
	autoWebhook = "webhook"
	autoStudio  = "studio"
)

const maxStudioRetries = 3

// apply returns the autocreation with the changes, without what its type has no
// use for.
func (p AutoCreationPatch) apply(a events.AutoCreation) events.AutoCreation {
	given(&a.Enabled, p.Enabled)
	given(&a.Type, p.Type)
	given(&a.Service, p.Service)
	given(&a.WebhookURL, p.WebhookURL)
	given(&a.WebhookMethod, p.WebhookMethod)
	given(&a.StudioFlow, p.StudioFlow)
	given(&a.StudioRetries, p.StudioRetries)
	if p.WebhookFilters != nil {
		a.WebhookFilters = slices.DeleteFunc(slices.Clone(p.WebhookFilters), func(name string) bool { return name == "" })
	}
	a.Type, a.WebhookMethod = strings.ToLower(cmp.Or(a.Type, autoDefault)), strings.ToLower(a.WebhookMethod)
	if a.Type != autoWebhook {
		a.WebhookURL, a.WebhookMethod, a.WebhookFilters = "", "", nil
	}
	if a.Type != autoStudio {
		a.StudioFlow, a.StudioRetries = "", 0
	}
	if a.Type == autoWebhook {
		a.WebhookMethod = cmp.Or(a.WebhookMethod, "post")
	}
	return a
}

// checkUsed refuses what was given and the type has no use for: it would be gone, and
// whoever gave it would think that it is there. Empty is as good as not given.
func (p AutoCreationPatch) checkUsed(autoType string) error {
	for _, f := range []struct {
		name, of string
		given    bool
	}{
		{"webhook_url", autoWebhook, some(p.WebhookURL)},
		{"webhook_method", autoWebhook, some(p.WebhookMethod)},
		{"webhook_filters", autoWebhook, slices.ContainsFunc(p.WebhookFilters, func(name string) bool { return name != "" })},
		{"studio_flow", autoStudio, some(p.StudioFlow)},
		{"studio_retries", autoStudio, some(p.StudioRetries)},
	} {
		if f.given && autoType != f.of {
			return domain.Refuse(domain.InvalidArgument, "auto_creation_unused", "auto_creation."+f.name, 20422,
				"auto_creation.%s is for autocreation of type %s, and this is of type %s", f.name, f.of, autoType)
		}
	}
	return nil
}

// some reports whether a patch has a value that says something.
func some[T comparable](patch *T) bool {
	var none T
	return patch != nil && *patch != none
}

func checkAutoCreation(a events.AutoCreation, serviceOwned bool) error {
	const prefix = "auto_creation."
	if a.Service != "" && !serviceOwned {
		return domain.Refuse(domain.NotFound, "service_not_found", prefix+"service", 50050, "The service was not found")
	}
	switch a.Type {
	case autoDefault:
		return nil
	case autoStudio:
		return checkStudio(a, prefix)
	case autoWebhook:
		return checkWebhook(a, prefix)
	}
	return typeInvalid(a.Type)
}

func typeInvalid(autoType string) error {
	return domain.Refuse(domain.InvalidArgument, "auto_creation_type_invalid", "auto_creation.type", 20422, "%.40q is none of webhook, studio, default", autoType)
}

func checkStudio(a events.AutoCreation, prefix string) error {
	switch {
	case !domain.IsSID("FW", a.StudioFlow):
		return domain.Refuse(domain.InvalidArgument, "sid_invalid", prefix+"studio_flow", 50367, "%.40q is not a SID of the form FW and 32 hex digits", a.StudioFlow)
	case a.StudioRetries < 0 || a.StudioRetries > maxStudioRetries:
		return domain.Refuse(domain.InvalidArgument, "studio_retries_invalid", prefix+"studio_retries", 20422, "0 to %d retries", maxStudioRetries)
	}
	return nil
}

func checkWebhook(a events.AutoCreation, prefix string) error {
	switch {
	case a.WebhookURL == "":
		return domain.Refuse(domain.InvalidArgument, "url_missing", prefix+"webhook_url", 50369, "Autocreation of type webhook needs a URL")
	case a.WebhookMethod != "get" && a.WebhookMethod != "post":
		return domain.Refuse(domain.InvalidArgument, "method_invalid", prefix+"webhook_method", 50055, "%.40q is neither get nor post", a.WebhookMethod)
	}
	return cmp.Or(domain.CheckURL(a.WebhookURL, prefix+"webhook_url"), domain.CheckWebhookEvents(a.WebhookFilters, prefix+"webhook_filters"))
}

func same(a, b events.AutoCreation) bool {
	return a.Enabled == b.Enabled && a.Type == b.Type && a.Service == b.Service && a.WebhookURL == b.WebhookURL &&
		a.WebhookMethod == b.WebhookMethod && slices.Equal(a.WebhookFilters, b.WebhookFilters) &&
		a.StudioFlow == b.StudioFlow && a.StudioRetries == b.StudioRetries
}

func given[T any](field, patch *T) {
	if patch != nil {
		*field = *patch
	}
}
