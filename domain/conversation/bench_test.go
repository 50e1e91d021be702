package conversation_test

import (
	"fmt"
	"testing"

	"github.com/parley-engine/parley/domain/conversation"
)

// A message of the system in the largest chat: the author is looked for among
// all participants.
func BenchmarkDecideMessageAmongAThousand(b *testing.B) {
	es := created()
	for n := range 1000 {
		es = append(es, chat(n, fmt.Sprint("user", n))...)
	}
	s := fold(es)
	c := conversation.AddMessage{Issue: by(1), Sid: im(1), Body: "hello"}
	for b.Loop() {
		if _, err := conversation.Decide(s, c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEvolveMessage(b *testing.B) {
	s := fold(world("active"))
	e := posted(7, 1, "ann", mb(1), mb(2))[0]
	for b.Loop() {
		s = conversation.Evolve(s, e)
	}
}
