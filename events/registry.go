package events

import (
	"encoding/json"
	"fmt"
	"slices"
)

// UnknownTypeError says that a stored type is not in the registry. A reader
// must stop on it, never skip it: an older program may be reading a newer log.
type UnknownTypeError struct{ Type string }

func (e *UnknownTypeError) Error() string { return fmt.Sprintf("unknown event type %q", e.Type) }

// Registry knows every type of event and turns payloads into bytes and back.
// It is immutable and safe for concurrent use.
type Registry struct {
	entries map[string]entry
	names   []string
}

type entry struct {
	decode func([]byte) (Event, error)
	zero   Event
}

// vocabulary is built once; see Vocabulary.
var vocabulary = mustRegistry(
	define[ConversationCreated](),
	define[ConversationFriendlyNameChanged](),
	define[ConversationUniqueNameChanged](),
	define[ConversationAttributesChanged](),
	define[ConversationMessagingServiceAttached](),
	define[ConversationEmailChanged](),
	define[ConversationTimersConfigured](),
	define[ConversationDatesSet](),
	define[ConversationIndexesReserved](),
	define[ConversationStateChanged](),
	define[TimerOperated](),
	define[ConversationSucceeded](),
	define[ConversationRemoved](),
	define[ParticipantAdded](),
	define[ParticipantAttributesChanged](),
	define[ParticipantRoleChanged](),
	define[ParticipantBindingChanged](),
	define[ParticipantDatesSet](),
	define[ParticipantRemoved](),
	define[ReadHorizonMoved](),
	define[NotificationLevelSet](),
	define[MessageAdded](),
	define[MessageBodyEdited](),
	define[MessageAttributesChanged](),
	define[MessageAuthorChanged](),
	define[MessageSubjectChanged](),
	define[MessageDatesSet](),
	define[MessageRemoved](),
	define[DeliveryUpdated](),
	define[WebhookAdded](),
	define[WebhookUpdated](),
	define[WebhookRemoved](),
	define[AccountCreated](),
	define[AccountConfigured](),
	define[MessagingServiceAdded](),
	define[AccountAuthTokenSet](),
	define[AccountWebhooksConfigured](),
	define[LogLossAccepted](),
	define[ServiceCreated](),
	define[ServiceConfigured](),
	define[ServiceRemoved](),
	define[ServiceWebhooksConfigured](),
	define[ServiceNotificationsConfigured](),
	define[UserCreated](),
	define[UserFriendlyNameChanged](),
	define[UserAttributesChanged](),
	define[UserRoleChanged](),
	define[UserRemoved](),
	define[RoleCreated](),
	define[RolePermissionsReplaced](),
	define[RoleRemoved](),
	define[APIKeyCreated](),
	define[APIKeySecretReplaced](),
	define[APIKeyRevoked](),
	define[CredentialCreated](),
	define[CredentialUpdated](),
	define[CredentialRemoved](),
	define[BindingCreated](),
	define[BindingUpdated](),
	define[BindingRemoved](),
	define[AddressConfigurationCreated](),
	define[AddressConfigurationUpdated](),
	define[AddressConfigurationRemoved](),
	define[MediaCreated](),
	define[MediaRemoved](),
	define[ReservationClaimed](),
	define[ReservationLost](),
	define[ForeignRecorded](),
)

// Vocabulary returns the registry of everything this program can store.
func Vocabulary() *Registry { return vocabulary }

// Definition is one type of event, made by define.
type definition struct {
	name string
	entry
}

func define[T Event]() definition {
	var zero T
	return definition{name: zero.EventType(), entry: entry{
		zero: zero,
		decode: func(data []byte) (Event, error) {
			var e T
			err := json.Unmarshal(data, &e)
			return e, err
		},
	}}
}

func newRegistry(definitions ...definition) (*Registry, error) {
	r := &Registry{entries: make(map[string]entry, len(definitions))}
	for _, d := range definitions {
		if _, twice := r.entries[d.name]; twice {
			return nil, fmt.Errorf("event type %q is defined twice", d.name)
		}
		if SchemaVersion(d.name) == 0 {
			return nil, fmt.Errorf("event type %q has no version", d.name)
		}
		r.entries[d.name] = d.entry
		r.names = append(r.names, d.name)
	}
	return r, nil
}

func mustRegistry(definitions ...definition) *Registry {
	r, err := newRegistry(definitions...)
	if err != nil {
		panic(err)
	}
	return r
}

// Types returns the current type names in the order they were defined.
func (r *Registry) Types() []string { return slices.Clone(r.names) }

// Zero returns an empty event of the type, for those who look at its shape.
func (r *Registry) Zero(eventType string) (Event, bool) {
	e, ok := r.entries[eventType]
	return e.zero, ok
}

// Encode returns the stored type name and the payload's bytes.
func (r *Registry) Encode(e Event) (eventType string, data []byte, err error) {
	eventType = e.EventType()
	if _, known := r.entries[eventType]; !known {
		return "", nil, &UnknownTypeError{Type: eventType}
	}
	data, err = json.Marshal(e)
	if err != nil {
		return "", nil, fmt.Errorf("encode %s: %w", eventType, err)
	}
	return eventType, data, nil
}

// Decode turns a stored payload, of today's or any former shape, into today's
// event. It returns an *UnknownTypeError for a type that was never ours.
func (r *Registry) Decode(eventType string, data []byte) (Event, error) {
	current, data, err := upcast(eventType, data)
	if err != nil {
		return nil, fmt.Errorf("upcast %s: %w", eventType, err)
	}
	entry, known := r.entries[current]
	if !known {
		return nil, &UnknownTypeError{Type: eventType}
	}
	e, err := entry.decode(data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", eventType, err)
	}
	return e, nil
}
