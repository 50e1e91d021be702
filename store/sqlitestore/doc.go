// Package sqlitestore keeps the log in one SQLite file that any SQLite tool can
// open. It is the default backend. docs/log-format.md describes the tables.
//
// One goroutine writes: it takes all appends that are waiting, writes them in
// one transaction and answers them after its fsync (group commit). There is no
// index by stream in that transaction. Which positions belong to which stream is
// known in memory for the newest events (the tail) and written behind the
// commits, sorted and in slices, to the table stream_index; after a crash the
// tail is read again from the log.
//
// A read borrows a connection for one chunk of events at a time, so a reader
// that pauses holds nothing.
package sqlitestore
