package esdbwire

import (
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/parley-engine/parley/store"
)

// largestPage is how many revisions EventStoreDB looks at at a time: it says where the
// events begin when the first such page has none.
const largestPage = 32

// page is how many revisions of a stream are looked at for this query at a time.
func (q *query) page() store.Revision { return store.Revision(min(q.count, largestPage)) }

// begins says where the events of a stream begin, where a client asked for ones long
// before.
func (a *answer) begins(q *query, asked, first store.Revision) error {
	if !q.places || q.direction == store.Backwards || first-asked < q.page() {
		return nil
	}
	return a.firstPosition(first)
}

// nothing says where events would begin when there was none to send: behind the end, or
// where they may be seen again, which may be behind that.
func (a *answer) nothing(q *query, asked, last store.Revision, v visible) error {
	if q.direction == store.Backwards {
		return nil
	}
	if asked <= last && v.cut > last && v.cut-asked >= q.page() {
		if err := a.firstPosition(v.cut); err != nil {
			return err
		}
	}
	return a.firstPosition(last + 1)
}

func (a *answer) firstPosition(revision store.Revision) error {
	return a.call.Send(&streams.ReadResp{Content: &streams.ReadResp_FirstStreamPosition{FirstStreamPosition: uint64(revision)}})
}

func (a *answer) lastPosition(revision store.Revision) error {
	return a.call.Send(&streams.ReadResp{Content: &streams.ReadResp_LastStreamPosition{LastStreamPosition: uint64(revision)}})
}
