package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// ErrFormat means that bytes are not a protocol as JSON writes it.
var ErrFormat = errors.New("not a protocol")

// MaxProtocol is how many octets ParseProtocol reads at most. A letter of
// 1,000 parts with 16 signers each stays far below.
const MaxProtocol = 32 << 20

// Document is one file as papers name it.
type Document struct {
	Name         string     `json:"name"`
	MediaType    string     `json:"media_type"`
	Size         int64      `json:"size"`
	SHA256       rem.Digest `json:"sha256"`
	SignedSHA256 rem.Digest `json:"signed_sha256"`
	Signatures   []int      `json:"signatures"` // indexes into the list of signatures
	Note         bool       `json:"note"`       // the covering text of the letter
}

// finding is a rem.Finding without places in the submitted letter.
type finding struct {
	Verdict       rem.Verdict     `json:"verdict"`
	Indication    string          `json:"indication"`
	SubIndication string          `json:"subindication"`
	Reason        rem.Reason      `json:"reason,omitempty"`
	Detail        string          `json:"detail,omitempty"`
	Documents     []Document      `json:"documents"`
	Signatures    []rem.Signature `json:"signatures"`
	Uncovered     []string        `json:"uncovered"`
	NotSigned     []string        `json:"not_signed"`
}

// protocol is the format itself: its members, and nothing else, are signed.
type protocol struct {
	Format      string       `json:"format"`
	ID          string       `json:"id"`
	Made        time.Time    `json:"made"`
	Gateway     string       `json:"gateway"`
	Submission  string       `json:"submission"`
	Consignment string       `json:"consignment"`
	Sender      Person       `json:"sender"`
	Recipient   Person       `json:"recipient"`
	Certificate *Certificate `json:"recipient_certificate"`
	Letter      Letter       `json:"letter"`
	Finding     finding      `json:"finding"`
	Policy      Policy       `json:"policy"`
	Statement   statement    `json:"statement"`
}

// statement says what a signature over the file means, to whoever reads the
// signed file alone.
type statement struct {
	EN string `json:"en"`
	RU string `json:"ru"`
}

// JSON is the protocol in RFC 8785 form: exactly what the recipient signs.
// Times are RFC 3339 UTC, digests lower-case hex, sizes octets.
func (p Protocol) JSON() ([]byte, error) {
	w := protocol{
		Format: ProtocolFormat, ID: p.ID, Made: instant(p.Made), Gateway: p.Gateway,
		Submission: p.Submission, Consignment: p.Consignment,
		Sender: p.Sender, Recipient: p.Recipient, Certificate: p.RecipientCertificate,
		Letter: p.Letter, Finding: findingOf(p.Finding), Policy: p.Policy,
		Statement: statement{EN: english().Statement, RU: russian().Statement},
	}
	w.Finding.NotSigned = withoutFields(w.Finding.NotSigned)
	w.Letter.MessageID = ""
	w.Letter.Date, w.Letter.Received = instant(w.Letter.Date), instant(w.Letter.Received)
	if p.Preview() {
		w.Format = PreviewFormat
		w.Statement = statement{EN: english().PreviewStatement, RU: russian().PreviewStatement}
	}
	b, err := rem.Canonical(w)
	if err != nil {
		return nil, fmt.Errorf("write protocol %s: %w", p.ID, err)
	}
	return b, nil
}

// ParseProtocol reads what JSON wrote and nothing else: bytes that would be
// written differently are ErrFormat, so a parsed protocol says all that its
// bytes say.
func ParseProtocol(b []byte) (*Protocol, error) {
	if len(b) > MaxProtocol {
		return nil, fmt.Errorf("%w: %d octets", ErrFormat, len(b))
	}
	var w protocol
	if err := json.Unmarshal(b, &w); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	p := &Protocol{
		ID: w.ID, Made: w.Made, Gateway: w.Gateway, Submission: w.Submission, Consignment: w.Consignment,
		Sender: w.Sender, Recipient: w.Recipient, RecipientCertificate: w.Certificate,
		Letter: w.Letter, Finding: w.Finding.finding(), Policy: w.Policy,
	}
	again, err := p.JSON()
	if err != nil || !bytes.Equal(again, b) {
		return nil, ErrFormat
	}
	return p, nil
}

// MarshalJSON is JSON, so that no other form of a protocol can come about.
func (p Protocol) MarshalJSON() ([]byte, error) { return p.JSON() }

// UnmarshalJSON is ParseProtocol.
func (p *Protocol) UnmarshalJSON(b []byte) error {
	q, err := ParseProtocol(b)
	if err == nil {
		*p = *q
	}
	return err
}

func findingOf(f rem.Finding) finding {
	w := finding{
		Verdict: f.Verdict, Indication: f.Indication, SubIndication: f.SubIndication,
		Reason: f.Reason, Detail: f.Detail,
		Documents: documentsOf(f.Documents), Signatures: make([]rem.Signature, len(f.Signatures)),
		Uncovered: append([]string{}, f.Uncovered...), NotSigned: append([]string{}, f.Unsigned...),
	}
	for i, s := range f.Signatures {
		s.BestTime = instant(s.BestTime)
		if s.ClaimedTime != nil {
			t := instant(*s.ClaimedTime)
			s.ClaimedTime = &t
		}
		s.Checks = append([]rem.Check{}, s.Checks...)
		s.Covers = append([]string{}, s.Covers...)
		w.Signatures[i] = s
	}
	return w
}

// withoutFields puts one word in place of the names of header fields. The
// recipient's letter has a header of ours; that the submitted one had a Cc or a
// Bcc is not for him to know.
func withoutFields(list []string) []string {
	out, named := []string{}, false
	for _, s := range list {
		if s == openHeader || strings.HasPrefix(s, openField+" ") {
			named = true
			continue
		}
		out = append(out, s)
	}
	if named {
		out = append(out, openHeader)
	}
	return out
}

func documentsOf(list []rem.Document) []Document {
	out := make([]Document, len(list))
	for i, d := range list {
		out[i] = Document{
			Name: d.Name, MediaType: d.MediaType, Size: d.Size, SHA256: d.SHA256,
			SignedSHA256: d.SignedSHA256, Signatures: append([]int{}, d.Signatures...), Note: d.Note,
		}
	}
	return out
}

func (w finding) finding() rem.Finding {
	f := rem.Finding{
		Verdict: w.Verdict, Indication: w.Indication, SubIndication: w.SubIndication,
		Reason: w.Reason, Detail: w.Detail, Signatures: w.Signatures,
		Uncovered: w.Uncovered, Unsigned: w.NotSigned,
	}
	for _, d := range w.Documents {
		f.Documents = append(f.Documents, rem.Document{
			Name: d.Name, MediaType: d.MediaType, Size: d.Size, SHA256: d.SHA256,
			SignedSHA256: d.SignedSHA256, Signatures: d.Signatures, Note: d.Note,
		})
	}
	return f
}
