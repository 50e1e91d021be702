package events

import "time"

// These names and fields are stored for ever; see conversation.go.

// MediaCreated says that a file was uploaded. The bytes are kept elsewhere, under
// their hash; which message has the file is for that message's conversation to
// say.
type MediaCreated struct {
	Media       string    `json:"media_sid"` // ME…
	Account     string    `json:"account"`
	Service     string    `json:"service"`
	ContentType string    `json:"content_type"`
	Filename    string    `json:"filename,omitempty"`
	Size        int64     `json:"size"`   // bytes
	SHA256      string    `json:"sha256"` // of the bytes, hex
	Author      string    `json:"author,omitempty"`
	At          time.Time `json:"at"`
}

// MediaRemoved ends a file: nobody attached it in time, or its message is gone.
type MediaRemoved struct {
	At time.Time `json:"at"`
}

// EventType returns the stored name.
func (MediaCreated) EventType() string { return "media.created.v1" }

// EventType returns the stored name.
func (MediaRemoved) EventType() string { return "media.removed.v1" }
