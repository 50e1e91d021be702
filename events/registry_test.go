package events

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type unversioned struct{}

func (unversioned) EventType() string { return "test.unversioned" }

type unregistered struct{}

func (unregistered) EventType() string { return "test.unregistered.v1" }

type unwritable struct{ F func() }

func (unwritable) EventType() string { return "test.unwritable.v1" }

func TestARegistryRefusesATypeTwiceAndATypeWithoutVersion(t *testing.T) {
	_, err := newRegistry(define[AccountCreated](), define[AccountCreated]())
	require.ErrorContains(t, err, "twice")
	_, err = newRegistry(define[unversioned]())
	require.ErrorContains(t, err, "no version")
	require.Panics(t, func() { mustRegistry(define[unversioned]()) })
}

func TestUnknownTypesAreErrorsNotSkips(t *testing.T) {
	var unknown *UnknownTypeError
	_, err := Vocabulary().Decode("conversation.exploded.v1", []byte(`{}`))
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, "conversation.exploded.v1", unknown.Type)
	require.ErrorContains(t, err, `"conversation.exploded.v1"`)

	_, _, err = Vocabulary().Encode(unregistered{})
	require.ErrorAs(t, err, &unknown)
	_, ok := Vocabulary().Zero("conversation.exploded.v1")
	require.False(t, ok)
}

func TestPayloadsThatCannotBeReadOrWrittenAreErrors(t *testing.T) {
	_, err := Vocabulary().Decode("account.created.v1", []byte(`{"account":`))
	require.ErrorContains(t, err, "decode account.created.v1")
	r, err := newRegistry(define[unwritable]())
	require.NoError(t, err)
	_, _, err = r.Encode(unwritable{})
	require.ErrorContains(t, err, "encode test.unwritable.v1")
}

func TestTypeNamesAreCategoryNameVersion(t *testing.T) {
	categories := []string{
		CategoryConversation, CategoryService, CategoryUser, CategoryRole, CategoryAccount, CategoryReservation,
		CategoryAPIKey, CategoryCredential, CategoryBinding, CategoryAddress, CategoryMedia, CategoryForeign,
	}
	for _, name := range Vocabulary().Types() {
		parts := strings.Split(name, ".")
		require.Len(t, parts, 3, name)
		require.Contains(t, categories, parts[0])
		require.Positive(t, SchemaVersion(name))
	}
	require.Equal(t, CategoryConversation+".created.v1", Vocabulary().Types()[0], "in the order of definition")
}

func TestTypesIsACopy(t *testing.T) {
	Vocabulary().Types()[0] = "changed"
	require.NotEqual(t, "changed", Vocabulary().Types()[0])
}

// Every former version leads to a current type in a finite number of steps.
func TestEveryUpcastEndsAtACurrentType(t *testing.T) {
	for name, u := range upcasters {
		require.NotContains(t, Vocabulary().Types(), name)
		require.Equal(t, SchemaVersion(name)+1, SchemaVersion(u.to), name)
		current, _, err := upcast(name, []byte(`{}`))
		require.NoError(t, err)
		require.Contains(t, Vocabulary().Types(), current)
	}
}

func TestSchemaVersions(t *testing.T) {
	for name, want := range map[string]int{"a.b.v1": 1, "a.b.v12": 12, "a.b": 0, "a.v1x": 0, "": 0, "a.v": 0, "a.v1.b.v2": 2} {
		require.Equal(t, want, SchemaVersion(name), name)
	}
}

func TestStreamsAreCategoryDashId(t *testing.T) {
	require.Equal(t, "user-US1", Stream(CategoryUser, "US1"))
	category, id, ok := SplitStream("reservation-identity:a-b")
	require.True(t, ok)
	require.Equal(t, []string{"reservation", "identity:a-b"}, []string{category, id})
	_, _, ok = SplitStream("foreign")
	require.False(t, ok)
}
