// Package conversation decides what may happen to one conversation: its
// participants, messages, delivery receipts, read horizons, scoped webhooks,
// states and timers. Decide turns state and command into events; Evolve turns
// state and event into the next state; neither does anything else.
package conversation
