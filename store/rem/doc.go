// Package rem is the ground floor: the words and rules of registered e-mail
// (ETSI EN 319 522, EN 319 532) as this gateway uses them.
//
// Everything here is plain data and pure functions over the standard library:
// no I/O, no clock, no context. Packages above agree with one another by
// passing these values; what may follow from what is decided in Submit.
//
// Invariant 4 lives here in part: every Evidence is unique per (subject,
// event, attempt), its id and the ids of consignments are derived from what
// they stand for, so doing the same step twice names the same rows.
package rem
