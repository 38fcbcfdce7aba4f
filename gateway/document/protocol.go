package document

import (
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// The names of the two JSON formats of a check.
const (
	ProtocolFormat = "cryptogramm-protocol/1"
	PreviewFormat  = "cryptogramm-protocol-preview/1"
)

// Person is a party by the address the gateway knows and, as outside text,
// the name he gives himself.
type Person struct {
	Address string `json:"address"`
	Name    string `json:"name,omitempty"`
}

// Certificate names a certificate. Subject and Issuer are RFC 4514 text,
// Serial is hex, SHA256 is over the DER.
type Certificate struct {
	Subject string     `json:"subject"`
	Issuer  string     `json:"issuer"`
	Serial  string     `json:"serial"`
	SHA256  rem.Digest `json:"sha256"`
}

// Letter is what a protocol or report says of the letter itself.
type Letter struct {
	MessageID string    `json:"message_id,omitempty"` // for the sender only
	Subject   string    `json:"subject"`
	Date      time.Time `json:"date,omitzero"` // the Date field: the sender's claim
	Received  time.Time `json:"received"`      // when the gateway accepted the letter
	Ref       rem.Ref   `json:"ref"`           // exact octets as submitted
}

// Policy is the gateway's choice within the verdict table that the check was
// made under; the words are those of rem.Policy.
type Policy struct {
	DocumentSigner string `json:"document_signer"`
	Revocation     string `json:"revocation"`
	AcceptBare     bool   `json:"accept_bare"`
}

// PolicyOf takes over what a paper says of a policy.
func PolicyOf(p rem.Policy) Policy {
	return Policy{DocumentSigner: p.DocumentSigner, Revocation: p.Revocation, AcceptBare: p.AcceptBare}
}

// Acknowledgement is the recipient's accepted signature over a protocol. It
// comes after the bytes that were signed and is therefore not part of them.
type Acknowledgement struct {
	Time      time.Time
	Signature rem.Digest // SHA-256 of the signature's octets
}

// Protocol is the result of one check by one recipient (протокол проверки).
type Protocol struct {
	ID                   string
	Made                 time.Time // when the check was made
	Gateway              string    // name of the installation
	Consignment          string
	Submission           string
	Sender               Person
	Recipient            Person
	RecipientCertificate *Certificate // the one he signs with; nil makes this a preview
	Letter               Letter
	Finding              rem.Finding // of the check made now
	Policy               Policy
	Signed               *Acknowledgement // shown, never part of the JSON
}

// ProtocolRequest is what a protocol is made of.
type ProtocolRequest struct {
	ID            string
	Made          time.Time
	Gateway       string
	Submission    *rem.Submission
	Consignment   rem.Consignment
	RecipientName string       // as his account has it; may be empty
	Certificate   *Certificate // nil makes a preview
	Finding       rem.Finding  // of the check made now, not that of the submission
	Policy        rem.Policy
}

// NewProtocol takes from the submission what its recipient may know: nothing
// of the envelope, of To and Cc, or of where in the submitted letter a
// document lies.
func NewProtocol(r ProtocolRequest) Protocol {
	s := r.Submission
	r.Finding.Unsigned = withoutFields(r.Finding.Unsigned)
	return Protocol{
		ID:                   r.ID,
		Made:                 instant(r.Made),
		Gateway:              r.Gateway,
		Consignment:          r.Consignment.ID,
		Submission:           s.ID,
		Sender:               Person{Address: s.Sender, Name: s.SenderName},
		Recipient:            Person{Address: r.Consignment.Recipient, Name: r.RecipientName},
		RecipientCertificate: r.Certificate,
		Letter:               Letter{Subject: s.Letter.Subject, Date: instant(s.Letter.Date), Received: instant(s.Time), Ref: s.Letter.Ref},
		Finding:              r.Finding,
		Policy:               PolicyOf(r.Policy),
	}
}

// Preview reports whether the protocol names no certificate of the recipient:
// then it is for reading only and nothing of it is recorded.
func (p Protocol) Preview() bool { return p.RecipientCertificate == nil }

// HTML is the protocol as one self-contained page. lang is "ru" or "en";
// anything else is "en".
func (p Protocol) HTML(lang string) ([]byte, error) {
	s, err := p.sheet(wordsFor(lang))
	if err != nil {
		return nil, err
	}
	return s.html()
}

// Text is the protocol as plain text, UTF-8 with LF line ends.
func (p Protocol) Text(lang string) ([]byte, error) {
	s, err := p.sheet(wordsFor(lang))
	if err != nil {
		return nil, err
	}
	return s.text(), nil
}

// instant is the precision in which the whole installation keeps time.
func instant(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}
