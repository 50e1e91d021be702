// Package pubsub is watermill's Publisher and Subscriber over NATS, with lanes:
// messages of one key are handed out one at a time, in the order the broker
// delivered them, and the next one only after the last one was acknowledged;
// messages of different keys run in parallel. Nothing acknowledged is delivered
// again by a graceful stop, nothing unacknowledged is lost by a hard one.
//
// Two subscribers share the lanes: [StreamSubscriber] reads a JetStream stream
// through a durable pull consumer, [CallSubscriber] takes core NATS requests.
// A Nack in a lane means "again, after a pause, before anything behind it",
// because giving it back to the broker would let later messages of the key pass.
//
// Message contexts carry the [Delivery] with the broker's subject, headers and
// bytes untouched. They keep the values of the subscribe context but not its
// cancellation: who stops a subscriber waits for handlers, it does not cut them
// off. A context ends when its message is acknowledged, or when a stop ran out
// of patience.
package pubsub
