// Package crashtest kills the real program at random moments under load over the
// bus and compares what clients were told with what the log and the read models
// say. It is tests only; "make crash" runs the long form.
package crashtest
