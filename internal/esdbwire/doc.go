// Package esdbwire lets clients of EventStoreDB and KurrentDB read a log of Parley
// and subscribe to it as if it were a database of theirs. It speaks the gRPC
// protocol of those clients: reads of a stream and of the whole log ($all) in both
// directions, catch-up subscriptions to either, filters by stream and by type.
//
// It is for looking only: whatever would write is refused with access denied.
// Persistent subscriptions, gossip, projections and stream metadata are not served;
// their calls are answered with Unimplemented.
//
// A Server is safe for concurrent use. What a client does not read in time waits in
// the connection's window; nothing is buffered beyond one batch of the log.
package esdbwire
