// Package reactor follows the log and has things done outside because of it: webhooks
// called, messages sent. Projections must not do that, for they are replayed; a
// reactor has a cursor of its own and never goes back.
//
// What is to be done is a job. Jobs and the cursor are kept in one SQLite file and
// written in one transaction, so an event leads to its jobs exactly once. A job is
// attempted at least once: a crash between doing it and noting that repeats it. It is
// attempted again, later and later, until it is done or its attempts are used up; then
// it is parked, where it can be listed, retried and discarded. Every attempt is kept.
//
// Jobs of one target share a lane, and lanes never wait for each other, so that a
// target that hangs delays only its own. Of a target's jobs those of one order are done
// one after another.
package reactor
