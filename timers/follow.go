package timers

import (
	"fmt"
	"time"

	"github.com/parley-engine/parley/events"
)

// Followed returns the types of events that [Index.Apply] acts on, to filter a
// subscription with. A message is not among them.
func Followed() []string {
	return []string{
		events.ConversationCreated{}.EventType(),
		events.ConversationTimersConfigured{}.EventType(),
		events.ConversationStateChanged{}.EventType(),
		events.ConversationRemoved{}.EventType(),
	}
}

// Apply follows the log. An event that can bring a due instant forward files
// the conversation for a look at the next tick, when its state is still warm;
// the look finds the true instant. An event that ends all timers forgets it.
// Other events are ignored. The event must be visible to Fire when Apply is
// called, or the look would see the past.
func (x *Index) Apply(r events.Recorded) error {
	switch r.Type {
	case events.ConversationCreated{}.EventType(),
		events.ConversationTimersConfigured{}.EventType(),
		events.ConversationStateChanged{}.EventType(),
		events.ConversationRemoved{}.EventType():
	default:
		return nil
	}
	e, err := events.Vocabulary().Decode(r.Type, r.Data)
	if err != nil {
		return fmt.Errorf("follow timers at position %s: %w", r.Position, err)
	}
	if category, conversation, ok := events.SplitStream(r.Stream); ok && category == events.CategoryConversation {
		x.follow(conversation, e)
	}
	return nil
}

func (x *Index) follow(conversation string, e events.Event) {
	switch e := e.(type) {
	case events.ConversationCreated:
		if e.Timers != (events.Timers{}) {
			x.File(conversation, time.Time{})
		}
	case events.ConversationTimersConfigured:
		x.fileOrForget(conversation, e.Timers != (events.Timers{}))
	case events.ConversationStateChanged:
		x.fileOrForget(conversation, e.To != events.StateClosed)
	case events.ConversationRemoved:
		x.Forget(conversation)
	}
}

func (x *Index) fileOrForget(conversation string, timed bool) {
	if timed {
		x.File(conversation, time.Time{})
		return
	}
	x.Forget(conversation)
}
