// Package judge says of a letter, or of a signature file, what in it is signed
// by whom, what is not, and whether a signer is the sender. It is the only
// place that knows the verdict table.
//
// What counts as signed:
//
//	a. multipart/signed (RFC 8551 §3.5.3)
//	b. opaque application/(x-)pkcs7-mime signed-data (RFC 8551 §3.5.2), also as
//	   application/octet-stream named .p7m
//	c. a file with a detached signature beside it
//	d. a file inside its own signature (.p7m, .sig)
//
// a and b are signatures of the letter: all that is shown must be covered, and
// a signer must be the sender. c and d are signatures of files: every file must
// be covered, and the policy says whether a signer must be the sender.
//
// Invariants:
//   - A bad signature is a value, never an error. Whatever cannot be judged has
//     not passed, a panic included (invariant 5 of the architecture).
//   - Passed means: every signature found passed, every document is covered.
//   - A name never proves anything. Pairing by name says which file a signature
//     claims; only the digest says that it is right.
//   - Of several objections the worst is the verdict; order is the table's.
//   - Memory does not grow with the letter: contents of opaque signatures go to
//     a temporary file that has no name.
//
// Deliberately absent: stores, networks, clocks, the sender's account (Party
// says all of it that matters), PGP, decryption, guessing at transit damage.
package judge
