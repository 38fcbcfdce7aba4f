// Package store keeps the metadata of one installation: people, the exchange,
// its evidence, jobs, trust. It is the only package that speaks SQL.
//
// There is one set of SQL for two engines, SQLite (embedded) and PostgreSQL;
// what differs lies in the dialect struct and in the words that migrations are
// templates over. Identifiers are made in Go, times are microseconds since 1970
// UTC from the injected clock, JSON is text, digests are 32 octets.
//
// Invariants kept here:
//
//   - A method that changes anything is one transaction, and it answers nil only
//     after that transaction is durable (invariant 1). On SQLite concurrent
//     transactions share one fsync, each inside its own savepoint.
//   - A state changes only in the transaction that adds the evidence of the
//     change (invariant 2), and handover, verification and expiry count once.
//   - Evidence is unique per (subject, event, attempt) and insert-only, guarded
//     by triggers; salt and record lie apart, where only erasure reaches
//     (invariant 4). Check re-derives all that SQL alone can (invariant 6).
//   - Mail is what IMAP shows of the exchange: the copies come, and their
//     keywords change, in the transaction of what they show. A UID is given out
//     once and in the order of commits. Expunging hides what was delivered.
//
// Deliberately absent: decisions (rem has them), bytes of letters (blob has
// them), retries of a failed commit.
package store
