// Package notify writes and sends the gateway's own mail: the notice that
// brings a recipient his link (S4.7) and the mails about people's accounts: to
// finish a registration (S3.2a), to set a new password, to tell of one.
//
// Invariants:
//
//   - One notice goes to one recipient and names no other.
//   - A mail holds one link, and nothing that a mail program fetches by itself.
//   - What a sender writes about himself, his subject and his file names is
//     outside text: shown with invisible characters visible, cut to a length,
//     and never as a link of its own.
//   - The caller gives the Message-ID, derived from the evidence or the job the
//     mail belongs to; writing and signing (DKIM) add no chance and no clock, so
//     a mail sent twice is the same mail.
//   - Signing changes no octet of a mail: one field comes before it.
//
// The package keeps nothing but connections, and decides no retries: a job calls
// Send again until it succeeds, fails for good (*PermanentError) or grows too
// old. A mail whose connection broke under way may arrive twice, as the same.
//
// Deliberately absent: delivery to the recipients' own servers, SMS.
package notify
