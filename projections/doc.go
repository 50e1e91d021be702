// Package projections follows the log and keeps the read models: rows in SQLite
// that answer queries.
//
// A projection has a name, a version and an apply step. Rows and the position
// of the log they stand for are saved in one transaction, so every event is
// applied exactly once. An error stops the projection with its position
// unmoved; running it again is the recovery. Nothing here can cause a side
// effect: a projection sees events and its own rows, nothing else.
//
// Each build of a read model is a generation, a SQLite file of its own named
// <name>-v<version>-g<generation>.db; a manifest file says which one is live.
// A rebuild fills the next generation beside the live one, is compared with it
// and swapped in atomically; the former stays on disk. Since all of it can be
// derived from the log, commits are not synced one by one: a power cut moves
// rows and position back together.
//
// Any SQLite tool can open a generation. Instants are integers, milliseconds
// since 1970 in UTC; the views (conversation_view, message_view, …) show them
// as text and name parents by SID.
package projections
