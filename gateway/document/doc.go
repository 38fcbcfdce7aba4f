// Package document makes the papers of the exchange: the protocol of a
// recipient's check (S4.11) and the report of a letter's way (S4.13), each as
// JSON, as a self-contained HTML page and as plain text, in Russian or English.
//
// Everything here is pure: values in, octets out; no clock, no I/O, no context.
//
// Invariants:
//
//   - The canonical JSON of a protocol is what the recipient signs. It stands
//     alone, and ParseProtocol gives back the protocol it was made from, so a
//     stored one can be shown in either language.
//   - A preview has a format name of its own: no signature over it can be taken
//     for one over a protocol.
//   - Neither a protocol nor a recipient's report holds anything of another
//     recipient: NewProtocol and NewReport copy what may be shown and never
//     start from the whole submission.
//   - Outside text reaches HTML through html/template only, with control
//     characters and bidirectional overrides made visible.
//
// Deliberately absent: scripts, links, pictures and anything else that is
// fetched from elsewhere; the documents themselves.
package document
