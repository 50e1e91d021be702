package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// path leads to something in JSON. The zero path leads nowhere.
type path struct {
	whole bool // it starts at the whole
	steps []string
}

var index = regexp.MustCompile(`\[(\d+|\*)\]`)

func parsePath(text string) (path, error) {
	rest, whole := strings.CutPrefix(text, "$.")
	steps := strings.Split(strings.TrimPrefix(index.ReplaceAllString(rest, ".$1"), "."), ".")
	for _, s := range steps {
		if s == "" {
			return path{}, errors.New("a path has an empty step")
		}
	}
	return path{whole: whole, steps: steps}, nil
}

// find returns what the path leads to, several things where it has "*".
func (p path) find(whole, at any) []any {
	if p.whole {
		at = whole
	}
	found := []any{at}
	for _, step := range p.steps {
		var next []any
		for _, v := range found {
			next = append(next, follow(v, step)...)
		}
		found = next
	}
	return found
}

func follow(v any, step string) []any {
	switch v := v.(type) {
	case map[string]any:
		if next, ok := v[step]; ok {
			return []any{next}
		}
	case []any:
		if step == "*" {
			return v
		}
		if n, err := strconv.Atoi(step); err == nil && n >= 0 && n < len(v) {
			return v[n : n+1]
		}
	}
	return nil
}

// text returns the first text or number that the path leads to, or "".
func (p path) text(whole, at any) string {
	if all := p.texts(whole, at); len(all) > 0 {
		return all[0]
	}
	return ""
}

// texts returns all that the path leads to, with the elements of lists.
func (p path) texts(whole, at any) (all []string) {
	if p.steps == nil {
		return nil
	}
	for _, v := range p.find(whole, at) {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, e := range list {
			if text, ok := scalar(e); ok {
				all = append(all, text)
			}
		}
	}
	return all
}

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// parseJSON reads one value and nothing else. Numbers stay as they are written.
func parseJSON(body []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var whole any
	if err := decoder.Decode(&whole); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return whole, nil
}
