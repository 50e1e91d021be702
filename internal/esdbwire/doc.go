// Package esdbwire lets clients of EventStoreDB and KurrentDB use a log of Parley as if
// it were a database of theirs. It speaks the gRPC protocol of those clients: reads of
// a stream and of the whole log ($all) in both directions, catch-up subscriptions to
// either, filters by stream and by type; and, for whoever may write, streams of their
// own with appends, deletes and metadata, and persistent subscriptions: groups of
// consumers that share a stream or the whole log.
//
// Parley's own streams are written by nobody, unless the server is the log of other
// processes. What is not served, projections for one, is answered with Unimplemented.
//
// A Server is safe for concurrent use. What a client does not read in time waits in
// the connection's window; beyond one batch of the log, only groups hold events, up to
// their buffer and 64 MiB each.
package esdbwire
