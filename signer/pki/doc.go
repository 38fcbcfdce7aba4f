// Package pki reads certificates, revocation lists and OCSP messages (RFC 6960),
// names every hash and signature algorithm that signer may use, and decides
// whether a certificate leads to a trust anchor (RFC 5280 §6) at a given time.
//
// Invariants:
//   - Every hash and every signature check goes through the table in this
//     package. A family of algorithms is added as rows (key reader, hash,
//     verify), never as a branch in a caller.
//   - A bad certificate, chain or signature is a Verdict with named checks. An
//     error means only that bytes are not what they claim to be.
//   - Certificates that come with a signature can extend a path, never end it:
//     only a configured Anchor ends it.
//   - Work is bounded before it begins: sizes, path depth, steps of the search,
//     public-key operations and name comparisons each have a limit.
//   - The time of judgement is always given; the package reads no clock.
//
// Deliberately absent: fetching (nothing here dials), certificate policies
// (only requireExplicitPolicy is honoured, by refusing), indirect, delta and
// reason-partitioned CRLs, SmtpUTF8Mailbox names (RFC 9598), and crypto/x509,
// whose parser refuses keys and serial numbers that occur in practice and lets
// pass bytes after the last field of a certificate.
package pki
