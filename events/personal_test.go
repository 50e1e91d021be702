package events_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
)

// personalNames are the JSON names that mean personal data wherever they occur.
var personalNames = []string{
	"friendly_name", "unique_name", "attributes", "email", "created_by", "identity", "binding",
	"author", "body", "media", "subject", "content_variables", "address", "proxy_address", "projected_address",
	"endpoint", "filename", "operator", "operator_reason",
}

func TestEveryPersonalFieldExistsAndNoneIsLeftOut(t *testing.T) {
	for _, name := range events.Vocabulary().Types() {
		zero, _ := events.Vocabulary().Zero(name)
		var found []string
		for f := range reflect.TypeOf(zero).Fields() {
			if json := jsonName(f); slices.Contains(personalNames, json) {
				found = append(found, json)
			}
		}
		require.ElementsMatch(t, found, events.PersonalFields(name), name)
	}
}

func TestPersonalFieldsOfAnUnknownTypeAreNone(t *testing.T) {
	require.Nil(t, events.PersonalFields("nobody.knows.v1"))
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
