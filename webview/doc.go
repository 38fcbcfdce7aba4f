// Package webview is the web side of the exchange (S4.7–S4.13): where a link
// lands and a person confirms receipt, "Received" and "Sent", the document
// wizard with its protocol, the report, refused letters, registration, login, a
// new password, and the owner's certificates and settings.
//
// Pages are rendered on the server and need no script: every act is a link or
// a form, so they work by keyboard, on a phone and in a text browser. Rules
// about who may see what live in package gateway; this package finds out who
// is asking and shows what the gateway answers.
//
// Invariants:
//
//   - GET, HEAD and OPTIONS change nothing that counts. A receipt takes a POST
//     with a token made for that page and that browser, and a person's act.
//   - What belongs to somebody else is answered exactly like what is absent.
//   - A link's token, a cookie, a password or a form's body is never logged:
//     the log has the route's pattern, not the path.
//   - Files are handed out, never shown, and their names are only text.
//   - All links point into this site by path; mails take theirs from the
//     configured base URL, never from a Host header.
//
// What the holder of a link learns before receipt: signer, sender, times, how
// many files, and whether the recipient's address belongs to a claimed account,
// since only its session may confirm then. He who was mailed the link knows
// that about himself; the address is not shown, and guessing at it spends the
// failure budget of account.Guess. Nobody without a link learns who has an
// account: login, registration and the asking for a new password answer alike,
// and do the same work.
//
// Failure budgets count the connection's own address. Behind a proxy that is
// the proxy's: forwarded addresses are not believed.
//
// Deliberately absent: scripts, remote content, an own session store (package
// account has it), TLS and timeouts of the listener (the caller's http.Server).
package webview
