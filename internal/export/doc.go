// Package export writes a part of the log as files for analysts, as Parquet, JSON lines
// or CSV, in a folder for each service and day: one wide table with a row for each event,
// one typed table for each type of event with the payload's fields as columns, and a
// manifest that says what there is.
//
// The same part of the same log exported twice is the same, byte for byte: rows are in
// the order of the log and nothing tells when the export was made. Who reads a folder
// without a manifest reads half an export.
//
// Rows wait for the end of their day in a spool, by service and type, and each file of
// the day is made from some of its segments. A journal has what was done: what a line of
// it tells of is durable before the line is. An export that was cut short goes on where
// the journal ends. Memory grows with the number of files, not with that of events.
package export
