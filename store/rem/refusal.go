package rem

import (
	"fmt"
	"strings"
)

// Refusal is a business "no". It is an error found by errors.As and carries
// the reply of the SMTP door (RFC 5321 §4.2, RFC 3463).
type Refusal struct {
	ID       string
	Code     int
	Enhanced [3]int
	Reason   Reason
	Text     string // ASCII English, one line per sentence, ≤ 500 octets in all
	Finding  Finding
	Err      error // cause for the log, never for the peer
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("refused %s: %s", r.Reason, r.Text)
}

func (r *Refusal) Unwrap() error { return r.Err }

// Temporary reports whether the sender should try the same letter again.
func (r *Refusal) Temporary() bool { return r.Code/100 == 4 }

// reply is one row of "reason to SMTP reply" of the verdict table, with the
// words that tell the sender what to do.
type reply struct {
	code     int
	enhanced [3]int
	advice   string
}

var replies = map[Reason]reply{
	ReasonSignatureFailed:   {550, [3]int{5, 7, 7}, "Nothing was sent. Sign the unchanged document again and resend."},
	ReasonCertificateTime:   {550, [3]int{5, 7, 7}, "Nothing was sent. Sign with a certificate that is valid now."},
	ReasonSignerNotSender:   {550, [3]int{5, 7, 1}, "Nothing was sent. Sign with your own certificate, or register it in your cabinet."},
	ReasonSignerUnbound:     {550, [3]int{5, 7, 1}, "Nothing was sent. Register this certificate in your cabinet, then resend."},
	ReasonNotCovered:        {550, [3]int{5, 7, 7}, "Nothing was sent. Sign every document of the letter, or the whole letter."},
	ReasonUntrusted:         {550, [3]int{5, 7, 7}, "Nothing was sent. Use a certificate of an authority this gateway trusts and include its chain."},
	ReasonNoSignedAttrs:     {550, [3]int{5, 7, 7}, "Nothing was sent. Sign with signed attributes (CAdES-BES or S/MIME)."},
	ReasonUnsupported:       {550, [3]int{5, 7, 7}, "Nothing was sent. Sign with RSA (2048 bits or more), ECDSA or Ed25519 and SHA-2."},
	ReasonNoCertificate:     {550, [3]int{5, 7, 7}, "Nothing was sent. Include your certificate in the signature."},
	ReasonNoContent:         {550, [3]int{5, 7, 7}, "Nothing was sent. Attach the signed file beside its signature, under the same name."},
	ReasonFrom:              {550, [3]int{5, 7, 1}, "Nothing was sent. Use one From address that belongs to your account."},
	ReasonRevocationUnknown: {451, [3]int{4, 7, 5}, "Nothing was sent. Your mail program will try again."},
	ReasonUnsigned:          {550, [3]int{5, 7, 0}, "Nothing was sent. Turn on S/MIME signing in your mail program, or attach a detached signature (.p7s, .sig) beside each file."},
	ReasonEncrypted:         {550, [3]int{5, 6, 0}, "Nothing was sent. Send it signed, not encrypted."},
	ReasonTooMany:           {451, [3]int{4, 7, 1}, "Nothing was sent, and this refusal is not on record: too many letters of this account were refused within an hour."},
	ReasonMalformed:         {550, [3]int{5, 6, 0}, "Nothing was sent."},
}

// maxReply is how much text a reply may hold, without the id.
const maxReply = 500

// Refuse makes the refusal that belongs to a reason. What is wrong (detail)
// comes first, then what to do.
func Refuse(reason Reason, detail string, f Finding) *Refusal {
	row, ok := replies[reason]
	if !ok {
		row = replies[ReasonMalformed]
	}
	room := maxReply - len(row.advice) - 1
	return &Refusal{Code: row.code, Enhanced: row.enhanced, Reason: reason, Finding: f, Text: ascii(detail, room) + "\n" + row.advice}
}

// ascii keeps printable ASCII, shows the rest as "?", and cuts to n octets.
func ascii(s string, n int) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() >= n {
			break
		}
		if r < ' ' || r > '~' {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// door applies policy to a finding: nil means the letter may pass.
func door(env Envelope, facts LetterFacts, f Finding, p Policy) *Refusal {
	if f.Reason == ReasonMalformed {
		return Refuse(f.Reason, f.Detail, f)
	}
	if len(facts.From) != 1 {
		return Refuse(ReasonFrom, fmt.Sprintf("The letter names %d From addresses, one is needed.", len(facts.From)), f)
	}
	if !containsAddress(env.Addresses, facts.From[0]) {
		return Refuse(ReasonFrom, "From "+facts.From[0]+" is not an address of the account "+env.Login+".", f)
	}
	switch {
	case f.Verdict == Passed:
		return nil
	case f.Reason == ReasonRevocationUnknown && p.Revocation == "soft":
		return nil
	case f.Reason == ReasonNoSignedAttrs && p.AcceptBare:
		return nil
	}
	return Refuse(f.Reason, f.Detail, f)
}
