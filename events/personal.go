package events

import "slices"

// personal lists the payload fields that are, or may hold, personal data, by
// JSON path (reference appendix B). A path to an object or list means all of it.
var personal = map[string][]string{
	ConversationCreated{}.EventType():             {"friendly_name", "unique_name", "attributes", "email", "created_by"},
	ConversationFriendlyNameChanged{}.EventType(): {"friendly_name"},
	ConversationUniqueNameChanged{}.EventType():   {"unique_name"},
	ConversationAttributesChanged{}.EventType():   {"attributes"},
	ConversationEmailChanged{}.EventType():        {"email"},
	TimerOperated{}.EventType():                   {"operator_reason"},
	ParticipantAdded{}.EventType():                {"identity", "binding", "attributes"},
	ParticipantAttributesChanged{}.EventType():    {"attributes"},
	ParticipantBindingChanged{}.EventType():       {"identity", "binding"},
	MessageAdded{}.EventType():                    {"author", "body", "media", "attributes", "subject", "content_variables"},
	MessageBodyEdited{}.EventType():               {"body"},
	MessageAttributesChanged{}.EventType():        {"attributes"},
	MessageAuthorChanged{}.EventType():            {"author"},
	MessageSubjectChanged{}.EventType():           {"subject"},
	AccountCreated{}.EventType():                  {"friendly_name"},
	LogLossAccepted{}.EventType():                 {"operator", "operator_reason"},
	MessagingServiceAdded{}.EventType():           {"friendly_name"},
	ServiceCreated{}.EventType():                  {"friendly_name"},
	UserCreated{}.EventType():                     {"identity", "friendly_name", "attributes"},
	UserFriendlyNameChanged{}.EventType():         {"friendly_name"},
	UserAttributesChanged{}.EventType():           {"attributes"},
	RoleCreated{}.EventType():                     {"friendly_name"},
	APIKeyCreated{}.EventType():                   {"friendly_name"},
	CredentialCreated{}.EventType():               {"friendly_name"},
	CredentialUpdated{}.EventType():               {"friendly_name"},
	BindingCreated{}.EventType():                  {"identity", "endpoint"},
	AddressConfigurationCreated{}.EventType():     {"address", "friendly_name"},
	AddressConfigurationUpdated{}.EventType():     {"friendly_name"},
	MediaCreated{}.EventType():                    {"filename", "author"},
}

// PersonalFields returns the JSON paths of the payload fields of a current type
// that may hold personal data; nil when there are none. Besides these, the
// metadata of any event names the actor, whose ID can be an identity. Streams of
// reservations are named by a hash of the value, which is not anonymous either.
//
// It is the list to encrypt per person, so that forgetting a key forgets them.
func PersonalFields(eventType string) []string { return slices.Clone(personal[eventType]) }
