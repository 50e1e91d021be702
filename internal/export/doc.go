// Package export writes a part of the log as files for analysts: one wide table with a
// row for each event, as Parquet, JSON lines or CSV, in a folder for each service and
// day, and a manifest that says what there is.
//
// The same part of the same log exported twice is the same, byte for byte: rows are in
// the order of the log and nothing tells when the export was made. Memory does not grow
// with the log. Who reads a folder without a manifest reads half an export.
package export
