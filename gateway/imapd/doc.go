// Package imapd is the mailbox door: IMAP4rev1 and IMAP4rev2 over TLS (993) and
// with STARTTLS (143) (RFC 3501, RFC 9051, RFC 8314).
//
// The engine is go-imap. Around it lies conn, a guard that the engine reads and
// writes through, because one octet of a letter taken for a command deletes
// somebody's mail:
//
//   - One Read of the engine never crosses from a command line into the literal
//     that it announces, nor from one command into the next. So when octets
//     beyond a line are wanted, the guard knows from what was answered whether
//     they are literal or command.
//   - The literal of a refused command is read and thrown away, with the rest
//     of its command, before the refusal is sent; a long one ends the
//     connection. This holds for literals of both kinds: a client that did not
//     wait cannot be told from its next command.
//   - A command line is one line: bare CR and NUL, a length the engine would
//     not finish, and a command it leaves unanswered end the connection.
//   - The engine never sees a connection without TLS. The few commands before
//     STARTTLS are served here (plain.go), and plaintext sent after it is never
//     read as a command.
//
// A session has its own view of a selected mailbox, the UIDs that the client
// knows in their order, and brings it up to date between commands from
// store.MailboxChanges. Nothing is locked and no query is open while a client
// is written to: letters are fetched a page of rows at a time. FETCH responses
// are written here too, from the outline that intake made of each letter and
// from its stored octets; the engine would build both anew.
//
// Reads go to store; everything that changes a mailbox is a method of
// gateway.Gateway. Errors become NO in one place, reply.go; an unknown one is
// "internal" and an id. What is deliberately absent: ACL, CONDSTORE, QUOTA,
// SORT, THREAD, LITERAL+, and APPEND of BINARY.
package imapd
