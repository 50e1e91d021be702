// Package esdbstore keeps the log in an EventStoreDB or KurrentDB (server 21.10 or
// newer), so that several processes can share it.
//
// It drives the protocol's generated stubs itself and not the vendor's Go client,
// whose defects would reach our users: calls that outlive their context, a client
// that stays dead once discovery failed, the process ended by an event it does not
// expect, conflicts without the actual revision (docs/decisions/0014).
//
// How the contract of package store is kept:
//   - Appends carry explicit revisions and the events' own ids, on one BatchAppend
//     call that all writers share. Where the outcome is unknown, because the
//     connection broke or the server was not ready, the identical batch is sent
//     again: the database recognises it by its ids. Every call also writes a mark of
//     its own into the metadata of its events, and looks at what the log then has:
//     another mark says that the batch was there before (Appended.Repeated).
//   - Positions are the database's (commit, prepare) pairs, unchanged.
//   - One subscription wakes all who wait. It resumes where it was; an event that
//     does not advance its position stops the store loudly.
//   - Reads, like appends, go to the leader (requires-leader).
//
// What it cannot keep: recorded times come from the database, whose clocks may
// differ from node to node, so they can fall where its leader changed. A stream that
// others delete or truncate has no beginning any more, and reading it says so.
//
// Streams of the system and of others in the same database are left alone: only
// those under Options.Prefix, of Options.Categories, are read.
package esdbstore
