// Package door is what stands in front of the engine of a mail protocol, the
// same for each: it takes connections in, counts them in all and by peer, turns
// away those that are too many, hands the others to the engine once they are
// TLS, and at the end tells them to go and cuts off who stays.
//
// Invariants:
//
//   - The engine sees no connection without TLS.
//   - A panic before the engine ends one connection, not the process.
//   - Shutdown returns when nothing is left: no connection, no work that
//     outlived one, no engine.
//
// What is said to a client, and when it may be interrupted, is the protocol's:
// its connection is a Guest. Deliberately absent: deadlines, which follow from
// the state of a conversation.
package door
