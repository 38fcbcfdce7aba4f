// Package message reads and writes mail: RFC 5322 letters, MIME (RFC 2045 to
// 2049, 2231), by byte offsets into the bytes that came over the wire.
//
// Invariants:
//
//   - Received bytes are never rewritten (invariant 3 of the architecture).
//     Parse answers with spans of the letter; what a signature is judged on is
//     cut out of the very bytes that arrived.
//   - A letter is read once, front to back, through an io.ReaderAt. Memory is
//     that of its structure: headers and spans, never a body.
//   - Every size and count is bounded by Limits before it is stored.
//   - Where mail programs would disagree about what a letter says, Parse takes
//     one reading and notes it in Part.Ambiguous; whether such a letter may
//     pass is the judge's to decide.
//   - Whatever this package composes is 7-bit, deterministic, and parses to the
//     header fields it was made of and no others.
//   - An Outline, which IMAP shows, never refuses: it exists for junk too, and
//     it alone descends into message/rfc822. To the judge a forwarded letter is
//     a file.
//
// Deliberately absent: converting the charset of bodies, repairing broken
// letters, and writing a received part again by any way but copying its bytes.
package message

import (
	"errors"
)

// Errors of this package; found by errors.Is.
var (
	// ErrMalformed is a letter, an encoding or an address that cannot be read.
	ErrMalformed = errors.New("malformed letter")
	// ErrLimit is a letter with more structure than Limits allow.
	ErrLimit = errors.New("letter over a limit")
	// ErrBareLineEnd is a CR without LF, an LF without CR, or a NUL.
	ErrBareLineEnd = errors.New("bare CR, bare LF or NUL in the letter")
	// ErrTooLarge is a letter of more octets than are accepted.
	ErrTooLarge = errors.New("letter too large")
	// ErrLineTooLong is a line of more than MaxLine octets.
	ErrLineTooLong = errors.New("line too long")
	// ErrHeaderValue is text that must not stand in a header field.
	ErrHeaderValue = errors.New("text not allowed in a header field")
)
