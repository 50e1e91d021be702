package events

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The example of RFC 9562 appendix A.4, and one more that several languages
// carry in their own tests.
func TestNameIdsAreUUIDv5(t *testing.T) {
	dns, err := ParseID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
	require.NoError(t, err)
	require.Equal(t, "2ed6657d-e927-568b-95e1-2665a8aea6a2", nameID(dns, []byte("www.example.com")).String())
	require.Equal(t, "886313e1-3b8a-5372-9b90-0c9aee199e5d", nameID(dns, []byte("python.org")).String())
}

// These ids are in logs already: they cannot change.
func TestStoredIdsStayAsTheyAre(t *testing.T) {
	command := NameID("golden")
	require.Equal(t, "f45159f5-3404-57f8-8005-c860865cc62d", command.String())
	require.Equal(t, "9e5a1332-23a5-522d-90de-17f2491fd0fe", EventID(command, 0).String())
	require.Equal(t, "6ac3fe36-d8b6-5364-8901-f300168719b0", EventID(command, 1).String())
}

func TestIdsAreReadInEitherCaseAndNothingElse(t *testing.T) {
	id, err := ParseID("2ED6657D-E927-568B-95E1-2665A8AEA6A2")
	require.NoError(t, err)
	require.Equal(t, "2ed6657d-e927-568b-95e1-2665a8aea6a2", id.String())
	for _, bad := range []string{
		"", "2ed6657d", "2ed6657de927568b95e12665a8aea6a2", "{2ed6657d-e927-568b-95e1-2665a8aea6a2}",
		"2ed6657d-e927-568b-95e1-2665a8aea6ag", "2ed6657d-e927-568b-95e12-665a8aea6a2", "2ed6657d-e927-568b-95e1-2665a8aea6a2 ",
	} {
		_, err := ParseID(bad)
		require.ErrorContains(t, err, "not a UUID", bad)
	}
}

func TestTheZeroIdIsAbsent(t *testing.T) {
	require.True(t, ID{}.IsZero())
	require.Equal(t, "00000000-0000-0000-0000-000000000000", ID{}.String())
	require.False(t, NameID("").IsZero())
}

func TestIdsSurviveText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var id, got ID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		data, err := json.Marshal(id)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &got))
		require.Equal(t, id, got)
		require.Equal(t, `"`+id.String()+`"`, string(data))
	})
}
