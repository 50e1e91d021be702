// Package competing shares a sequence of events among consumers that compete for
// them: each event goes to one of them, who says in time that it is handled, or it
// goes to somebody again, and after too many times aside, to be looked at. It is what
// EventStoreDB calls a persistent subscription, without its reading and writing
// (https://docs.kurrent.io/server/v24.10/features/persistent-subscriptions.html).
//
// At least once: an event may reach two consumers, and one that was slow may still be
// at work on it. Order is that of the sequence as long as nothing is tried again; the
// pinned strategies keep events of one key in order while each is handled in time.
//
// A Queue is silent: time comes with each call, and what is to be written is returned.
// It is for one goroutine.
package competing
