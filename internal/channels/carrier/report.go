package carrier

import (
	"bytes"
	"encoding/json"
)

// ReadReport reads a report in Parley's own form: one JSON object, an Inbound or a
// Status by the kind. What is none is *Malformed.
func ReadReport(kind string, data []byte) (Report, error) {
	if kind == KindInbound {
		m, err := read[Inbound](data)
		return Report{Inbound: m}, err
	}
	s, err := read[Status](data)
	return Report{Status: s}, err
}

func read[T any](data []byte) (*T, error) {
	var value T
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil {
		return nil, &Malformed{Reason: err.Error()}
	}
	if decoder.More() {
		return nil, &Malformed{Reason: "more than one JSON object"}
	}
	return &value, nil
}
