// Package contract writes down what travels over the bus: an AsyncAPI 3
// document and a JSON Schema for every command, reply and event. Everything is
// derived from the Go types and their tags, so it cannot say anything else than
// the program does. The same input always gives the same bytes.
package contract
