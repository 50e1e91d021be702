// Package chatimport brings the data of Programmable Chat v2 into Parley: services,
// roles, users, channels, members, messages, read horizons. It reads Chat's REST API
// or a folder with what that returned, and has the engine carry out a command for
// each thing, so that everything the import does is decided and kept as any other
// change is.
//
// Every command has an id that follows from what it brings, so an import that is run
// again goes on where it stopped, and changes nothing where it was done.
package chatimport
