package events

// ForeignRecorded is an event of somebody else's, written through the protocol of
// EventStoreDB into a stream of their own. Nothing of Parley reads it: projections,
// bus and timers pass over it. Its id is the one it came with, and its stream here is
// the category foreign, a dash, and the name it has there.
type ForeignRecorded struct {
	Type        string `json:"type"`
	ContentType string `json:"content_type"`
	// Data and Metadata are as they came, each in the first field when it is text and
	// in the second, as base64, when it is not.
	Data           string `json:"data,omitempty"`
	DataBase64     []byte `json:"data_base64,omitempty"`
	Metadata       string `json:"metadata,omitempty"`
	MetadataBase64 []byte `json:"metadata_base64,omitempty"`
}

// EventType returns the stored name.
func (ForeignRecorded) EventType() string { return "foreign.recorded.v1" }
