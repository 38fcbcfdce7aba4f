// Package fetch gets what certificates point to: OCSP answers, CRLs and the
// certificates of issuers. The addresses are the words of strangers, so most of
// it is about where not to go and how much not to take.
//
// Invariants:
//   - Where a connection leads is decided after the name is resolved, at the
//     moment of connecting: a name that resolves anew cannot lead elsewhere.
//     Only public addresses are dialled, unless the operator has named a net.
//   - http and https only, on two ports; no proxies, no cookies, no
//     decompression, no redirect to another host.
//   - Nothing fetched is trusted: package pki judges it like what came with a
//     letter. What is remembered has settled a status first, so that a stranger
//     on the way cannot put rubbish in its place.
//   - One letter costs a bounded number of fetches and a bounded time, many
//     letters about one address cost one fetch, and an address or host that fails
//     is left alone for a while.
//   - Memory is bounded in octets and in entries.
//
// Deliberately absent: ldap and ftp addresses, HTTP caching headers (what was
// signed says how long it counts), OCSP by GET (it leaves no room for a nonce).
package fetch
