// Package events is the stored vocabulary of Parley: what happened, the
// envelope it travels in, and the codec between the two and bytes.
//
// It knows nobody: only the standard library is imported. Everything that is
// written to the log is declared here, and every shape ever written can still
// be read: old shapes are turned into today's on the way in (see upcast.go).
//
// All values are safe to copy and safe for concurrent reading. A [Registry] is
// immutable once built.
package events
