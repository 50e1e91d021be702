package conversation_test

import (
	"strings"
	"testing"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

func TestSuccessors(t *testing.T) {
	next, third := "CH"+strings.Repeat("7", 32), "CH"+strings.Repeat("8", 32)
	link := func(sid string) conversation.LinkSuccessor {
		return conversation.LinkSuccessor{Issue: by(5), Successor: sid}
	}
	ended := history(created(), closed())
	succeeded := []events.Event{events.ConversationSucceeded{Successor: next, At: at(5)}}
	run(t, []row{
		{name: "of a closed one", given: ended, when: link(next), then: succeeded},
		{name: "the first stays", given: history(ended, succeeded), when: link(third)},
		{name: "an open one goes on by itself", given: created(), when: link(next), no: no{code: "conversation_open", kind: "failed_precondition"}},
		{name: "itself", given: ended, when: link(ch), no: invalid("links_itself", "predecessor", 0)},
		{name: "of nothing", when: link(next), no: no{code: "conversation_not_found", twilio: 20404, kind: "not_found"}},
	})
}
