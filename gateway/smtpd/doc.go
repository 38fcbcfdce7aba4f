// Package smtpd is the submission door: SMTP over TLS (465) and with STARTTLS
// (587), for people who log in and send signed letters (RFC 6409, RFC 8314).
//
// The engine is go-smtp. Around it lies conn, a guard that the engine reads and
// writes through, because one octet taken for a command that was meant as
// letter, or the other way round, is a forged submission:
//
//   - One Read of the engine never crosses the end of a command line, of a
//     letter or of a chunk. So when the next octets are wanted, everything
//     before them has been answered, and the guard knows from the answer
//     whether they are command or letter.
//   - A letter after DATA is read by the guard alone, which knows one end of it,
//     CRLF.CRLF; the engine is shown an empty letter in its place.
//   - After any failed DATA or BDAT the connection is closed: nothing that
//     follows is executed. Errors of reading are permanent.
//   - The engine never sees a connection without TLS. The few commands before
//     STARTTLS are served here (plain.go), and plaintext sent after it is
//     never read as a command.
//   - An address beyond ASCII comes only with SMTPUTF8 (RFC 6531).
//
// What was received is answered in one place, reply.go; an unknown error is
// "451 4.3.0 <id>". What is deliberately absent: relaying, DSN, BINARYMIME, the
// null sender, and AUTH without TLS.
package smtpd
