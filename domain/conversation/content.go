package conversation

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// Sizes of content variables (reference 4.2).
const (
	maxVariables      = 100
	maxVariableKey    = 16     // characters
	maxVariableValue  = 256    // characters
	maxVariablesTotal = 27_801 // characters of the whole text
)

// files are the media as they were uploaded, whatever the command says of them.
// Media that was never uploaded here, as an import brings it, is described by the
// command; a bare SID of such is not found (50507).
func (c AddMessage) files() ([]events.Media, error) {
	if len(c.Media) == 0 {
		return nil, nil
	}
	files := make([]events.Media, len(c.Media))
	for i, m := range c.Media {
		upload, used := c.Uploaded[m.Media]
		switch {
		case used && upload.File != nil:
			files[i] = *upload.File
		case used, domain.IsSID("ME", m.Media) && m.ContentType == "":
			return c.Media, domain.Refuse(domain.NotFound, "media_not_found", fmt.Sprintf("media.%d.media", i), 50507, "Media %.40q was not found", m.Media)
		default:
			files[i] = m
		}
	}
	return files, nil
}

// checkUnattached refuses media that another message of the conversation has or
// had (50508).
func (s State) checkUnattached(media []events.Media) error {
	for i, m := range media {
		if _, attached := s.Media[m.Media]; attached {
			return mediaAttached(m.Media, fmt.Sprintf("media.%d.media", i))
		}
	}
	return nil
}

func mediaAttached(sid, field string) *domain.Refusal {
	return domain.Refuse(domain.AlreadyExists, "media_attached", field, 50508, "Media %s is attached to a message already", sid)
}

func checkMedia(media []events.Media) error {
	if len(media) > maxMediaCount {
		return invalid("too_many_media", "media", 0, "A message has at most %d media", maxMediaCount)
	}
	seen := make(map[string]bool, len(media))
	for i, m := range media {
		if err := checkMedium(m, fmt.Sprintf("media.%d", i), seen[m.Media]); err != nil {
			return err
		}
		seen[m.Media] = true
	}
	return nil
}

func checkMedium(m events.Media, field string, again bool) error {
	switch {
	case m.Media == "":
		return invalid("media_missing", field+".media", 50506, "The SID of the media is missing")
	case !domain.IsSID("ME", m.Media):
		return invalid("media_invalid", field+".media", 50510, "%.40q is not a media SID", m.Media)
	case again:
		return domain.Refuse(domain.AlreadyExists, "media_attached", field+".media", 50508, "Media %s is attached twice", m.Media)
	case m.ContentType == "":
		return invalid("media_type_invalid", field+".content_type", 50511, "The media has no content type")
	case m.Size < 0 || m.Size > maxMediaSize:
		return invalid("media_too_large", field+".size", 50512, "Media is at most %d bytes", maxMediaSize)
	}
	return checkText(m.Filename, field+".filename", maxNameChars, 0)
}

// checkContent refuses bad templates and variables (50526-50529, 50540, 50541).
func checkContent(content, variables string) error {
	switch {
	case content == "" && variables != "":
		return invalid("content_missing", "content", 50528, "Content variables need content")
	case content == "":
		return nil
	case !domain.IsSID("HX", content):
		return invalid("content_invalid", "content", 50526, "%.40q is not a content SID", content)
	case variables == "":
		return nil
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal([]byte(variables), &values); err != nil || values == nil || !utf8.ValidString(variables) {
		return invalid("content_variables_invalid", "content_variables", 50527, "Content variables are not a JSON object")
	}
	return checkVariables(variables, values)
}

func checkVariables(variables string, values map[string]json.RawMessage) error {
	const field = "content_variables"
	if len(values) > maxVariables {
		return invalid("too_many_content_variables", field, 50529, "There are more than %d content variables", maxVariables)
	}
	if utf8.RuneCountInString(variables) > maxVariablesTotal {
		return invalid("content_variables_too_long", field, 50541, "Content variables are longer than %d characters", maxVariablesTotal)
	}
	for key, raw := range values {
		var value string
		if json.Unmarshal(raw, &value) != nil {
			value = string(raw)
		}
		if utf8.RuneCountInString(key) > maxVariableKey || utf8.RuneCountInString(value) > maxVariableValue {
			return invalid("content_variable_too_long", field, 50540, "A content variable has at most %d characters in its key and %d in its value",
				maxVariableKey, maxVariableValue)
		}
	}
	return nil
}
