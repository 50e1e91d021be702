// Package media decides about uploaded files: what they are, and that each is
// attached to one message or goes (reference 4.4). The bytes are elsewhere.
package media

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// MaxSize bounds a file, in bytes (reference 4.2).
const MaxSize = 150 << 20

const maxContentType = 256 // bytes, parameters included

// State is a file. The zero State does not exist.
type State struct {
	Media       string
	Account     string
	Service     string
	ContentType string
	Filename    string
	Size        int64
	SHA256      string
	Author      string
	Removed     bool
}

// Exists reports whether the file was uploaded and not removed.
func (s State) Exists() bool { return s.Media != "" && !s.Removed }

// Command is something somebody wants of one file. Fields without a JSON name are
// put there by the engine.
type Command interface {
	CommandType() string
}

// Create says that the bytes are there.
type Create struct {
	At time.Time `json:"-"`
	// Caller is who uploads; a user does it in his own name.
	Caller      domain.Caller `json:"-"`
	Account     string        `json:"-"`
	Service     string        `json:"-"`
	Sid         string        `json:"sid,omitempty" schema:"sid=ME"`
	ContentType string        `json:"content_type" schema:"required,max=256"`
	Filename    string        `json:"filename,omitempty" schema:"max=256"`
	Size        int64         `json:"size" schema:"required"` // bytes
	SHA256      string        `json:"sha256" schema:"required,max=64"`
	Author      string        `json:"author,omitempty" schema:"max=256"`
}

// Remove ends a file that no message has.
type Remove struct {
	At time.Time `json:"-"`
}

// CommandType returns the name on the wire.
func (Create) CommandType() string { return "media.create" }

// CommandType returns the name on the wire.
func (Remove) CommandType() string { return "media.remove" }

// NotFound refuses a file that is not there (50507).
func NotFound(sid, field string) *domain.Refusal {
	return domain.Refuse(domain.NotFound, "media_not_found", field, 50507, "Media %.40q was not found", sid)
}

// Decide turns a command into events, or refuses it with a *domain.Refusal.
func Decide(s State, c Command) ([]events.Event, error) {
	switch c := c.(type) {
	case Create:
		return decideCreate(s, c)
	case Remove:
		if !s.Exists() {
			return nil, NotFound(s.Media, "")
		}
		return []events.Event{events.MediaRemoved{At: c.At}}, nil
	default:
		panic(fmt.Sprintf("media: command %T", c))
	}
}

var (
	contentType = regexp.MustCompile(`^[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}(;[ -~]*)?$`)
	digest      = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func decideCreate(s State, c Create) ([]events.Event, error) {
	if s.Media != "" {
		return nil, domain.Refuse(domain.AlreadyExists, "media_exists", "sid", 20409, "The media exists already")
	}
	if err := cmp.Or(check(c), domain.CheckLength(c.Filename, 256, "filename", 20422), domain.CheckLength(c.Author, 256, "author", 50310)); err != nil {
		return nil, err
	}
	if c.Caller.Identity != "" {
		if c.Author != "" && c.Author != c.Caller.Identity {
			return nil, domain.Refuse(domain.PermissionDenied, "server_side_only", "author", 50107, "A user cannot upload in another name")
		}
		c.Author = c.Caller.Identity
	}
	return []events.Event{events.MediaCreated{
		Media: c.Sid, Account: c.Account, Service: c.Service, ContentType: c.ContentType, Filename: c.Filename,
		Size: c.Size, SHA256: c.SHA256, Author: c.Author, At: c.At,
	}}, nil
}

func check(c Create) error {
	switch {
	case len(c.ContentType) > maxContentType || !contentType.MatchString(c.ContentType):
		return domain.Refuse(domain.InvalidArgument, "media_type_invalid", "content_type", 50511, "%.100q is not a content type", c.ContentType)
	case c.Size < 0 || c.Size > MaxSize:
		return domain.Refuse(domain.InvalidArgument, "media_too_large", "size", 50512, "Media is at most %d bytes", MaxSize)
	case !digest.MatchString(c.SHA256):
		return domain.Refuse(domain.InvalidArgument, "sha256_invalid", "sha256", 20422, "sha256 must be 64 hex digits")
	case strings.ContainsAny(c.Filename, "/\\\x00\r\n"):
		return domain.Refuse(domain.InvalidArgument, "filename_invalid", "filename", 20422, "A file name has no separators and no line ends")
	}
	return nil
}

// Evolve is the next state. It owns its argument.
func Evolve(s State, e events.Event) State {
	switch e := e.(type) {
	case events.MediaCreated:
		s = State{Media: e.Media, Account: e.Account, Service: e.Service, ContentType: e.ContentType,
			Filename: e.Filename, Size: e.Size, SHA256: e.SHA256, Author: e.Author}
	case events.MediaRemoved:
		s.Removed = true
	case events.ReservationLost: // only moves the revision
	default:
		panic(fmt.Sprintf("media: event %T", e))
	}
	return s
}
