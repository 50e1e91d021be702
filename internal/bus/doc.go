// Package bus is the door for services: commands in, replies and events out,
// over NATS. It promises that nothing acknowledged is lost, that commands of one
// aggregate are handled in the order they came, and that every command with a
// reply subject gets exactly one kind of answer: an outcome or a typed error.
//
// Two doors lead to one handler, through lanes keyed by the subject's last token:
//
//	parley.call.<aggregate id>      a core NATS request; the reply is the outcome
//	parley.commands.<aggregate id>  a durable stream; the reply goes to the
//	                                subject in the header Parley-Reply-To
//
// A refusal is a reply. A durable command that cannot be read or keeps failing
// becomes a dead letter, and later ones of the same aggregate park behind it.
//
// Stop order: cancel the context of [Bus.Run] (or call [Bus.Drain]): it stops
// taking commands, waits for those that were started, refuses or gives back the
// rest, and flushes the replies. Then end [EventPublisher.Run], close the
// connection, and stop the embedded server.
package bus
