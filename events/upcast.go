package events

import (
	"encoding/json"
	"time"
)

// An upcaster turns the payload of a former version into the next one. A chain
// of them leads from any version ever written to today's.
type upcaster struct {
	to    string
	apply func(data []byte) ([]byte, error)
}

var upcasters = map[string]upcaster{
	"conversation.participant-added.v1": {"conversation.participant-added.v2", participantAddedV1},
}

// FormerTypes returns the names of all versions that are read but no longer
// written.
func FormerTypes() []string {
	names := make([]string, 0, len(upcasters))
	for name := range upcasters {
		names = append(names, name)
	}
	return names
}

// CurrentType returns the type that a payload of eventType is read as: itself, unless it
// is a former version.
func CurrentType(eventType string) string {
	for {
		u, old := upcasters[eventType]
		if !old {
			return eventType
		}
		eventType = u.to
	}
}

func upcast(eventType string, data []byte) (string, []byte, error) {
	for {
		u, old := upcasters[eventType]
		if !old {
			return eventType, data, nil
		}
		next, err := u.apply(data)
		if err != nil {
			return "", nil, err
		}
		eventType, data = u.to, next
	}
}

// participantAddedV1: the binding was three flat fields, and its channel type
// was left to the reader to find from the address.
func participantAddedV1(data []byte) ([]byte, error) {
	var v1 struct {
		Participant      string    `json:"participant"`
		Identity         string    `json:"identity"`
		User             string    `json:"user"`
		Address          string    `json:"address"`
		ProxyAddress     string    `json:"proxy_address"`
		ProjectedAddress string    `json:"projected_address"`
		Role             string    `json:"role"`
		Attributes       string    `json:"attributes"`
		DateCreated      time.Time `json:"date_created"`
		DateUpdated      time.Time `json:"date_updated"`
		At               time.Time `json:"at"`
	}
	if err := json.Unmarshal(data, &v1); err != nil {
		return nil, err
	}
	binding := Binding{Address: v1.Address, ProxyAddress: v1.ProxyAddress, ProjectedAddress: v1.ProjectedAddress}
	if binding != (Binding{}) {
		binding.Type = AddressType(v1.Address)
	}
	return json.Marshal(ParticipantAdded{
		Participant: v1.Participant, Identity: v1.Identity, User: v1.User, Binding: binding,
		Role: v1.Role, Attributes: v1.Attributes,
		DateCreated: v1.DateCreated, DateUpdated: v1.DateUpdated, At: v1.At,
	})
}
