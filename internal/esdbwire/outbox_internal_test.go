package esdbwire

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/esdbwire/competing"
)

func TestAnOutboxHasWhatWasNotTakenBack(t *testing.T) {
	roomy := 0
	o := newOutbox(func() { roomy++ })
	_, some := o.next()
	require.False(t, some)
	var list []*competing.Message
	for i := range 4 {
		m := &competing.Message{Event: carried{event: &record{revision: uint64(i)}}, Retries: i}
		list = append(list, m)
		o.Give(m)
	}
	<-o.more
	d, some := o.next()
	require.True(t, some)
	require.Equal(t, []any{uint64(0), 0}, []any{d.event.revision, d.retries})
	require.False(t, o.Withdraw(list[0], true), "it is on its way")
	require.True(t, o.Ready(), "which is no fault")
	require.True(t, o.Withdraw(list[1], false))
	require.True(t, o.Ready(), "it was answered, for one")
	require.True(t, o.Withdraw(list[2], true))
	require.False(t, o.Withdraw(list[2], true), "once")
	require.False(t, o.Ready(), "it waited too long")
	require.Equal(t, []int{1, 1, 0}, []int{o.waiting.Len(), len(o.of), roomy})
	d, some = o.next()
	require.True(t, some)
	require.EqualValues(t, 3, d.event.revision)
	require.True(t, o.Ready())
	require.Equal(t, []int{0, 0, 1}, []int{o.waiting.Len(), len(o.of), roomy})
}
