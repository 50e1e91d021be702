// Package salvage looks at the folder of an embedded broker before the broker does, and
// mends what it can. Bytes rot: a block of messages then ends, for the broker, at the first
// record that is wrong, whatever comes behind it; a state of a consumer has no checksum at
// all; and a wrong sequence that is not checked makes the broker fill a gap that takes all
// the memory there is.
//
// Every record has a checksum, so that a record is whole or is not. Those that are whole
// stay, with their sequences and instants, hence with the ids of their commands; the rest
// is left out, and what was acknowledged in it and not done is named. The files as they
// were are kept aside.
//
// What the formats say is of nats-server 2.15, server/filestore.go and server/store.go; the
// tests of the package above write with the real server and flip bytes in all of its files.
package salvage
