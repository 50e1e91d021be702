// Package timers brings conversations up at the instant one of their timers
// could be due. It holds a due index in memory, one tick of cron a second, and
// the sweep between the two.
//
// It decides nothing. What comes up is handed to a [Fire] function, which looks
// at the conversation, advances it if a timer really is due, and answers when
// to look again. So an entry may be early in the index (a message does not move
// it), may be there twice in the eyes of two nodes, or may be left over from a
// closed conversation; none of that can fire a timer early, twice or stale.
//
// What is promised:
//   - Never early: nothing is asked before its instant, by this machine's clock.
//   - Never lost: an entry leaves the index only when Fire said there is
//     nothing to wait for, or when the conversation ended. A failing or
//     panicking Fire is asked again, with the same instant, after a back-off.
//   - Oldest first: see [Scheduler.Sweep].
//
// The index is disposable. It is loaded from a read model at start and follows
// the log from there; docs/timers.md tells the whole story.
package timers
