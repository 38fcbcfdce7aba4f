// Package notify writes and sends the gateway's own mail: the notice that
// brings a recipient his link (S4.7) and the mail that finishes a registration
// (S3.2a).
//
// Invariants:
//
//   - One notice goes to one recipient and names no other.
//   - A mail holds one link, and nothing that a mail program fetches by itself.
//   - What a sender writes about himself, his subject and his file names is
//     outside text: shown with invisible characters visible, cut to a length,
//     and never as a link of its own.
//   - The caller gives the Message-ID, derived from the evidence the mail will
//     leave; Render adds no chance and no clock, so a mail sent twice is the
//     same mail.
//
// The package keeps no state and decides no retries: a job calls Send again
// until it succeeds, fails for good (*PermanentError) or grows too old.
//
// Deliberately absent: delivery to the recipients' own servers, DKIM, SMS.
package notify
