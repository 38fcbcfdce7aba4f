package store

import (
	"context"
	"fmt"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// findingText is a finding without its documents and signatures, whose rows lie
// in their own tables. Those two fields only keep nil apart from empty.
type findingText struct {
	Verdict       rem.Verdict `json:"verdict"`
	Indication    string      `json:"indication"`
	SubIndication string      `json:"subindication"`
	Reason        rem.Reason  `json:"reason"`
	Detail        string      `json:"detail"`
	Uncovered     []string    `json:"uncovered"`
	Unsigned      []string    `json:"not_signed"`
	Signatures    []struct{}  `json:"signatures"`
	Documents     []struct{}  `json:"documents"`
}

func packFinding(f rem.Finding) (string, error) {
	t := findingText{
		Verdict: f.Verdict, Indication: f.Indication, SubIndication: f.SubIndication,
		Reason: f.Reason, Detail: f.Detail, Uncovered: f.Uncovered, Unsigned: f.Unsigned,
	}
	if f.Signatures != nil {
		t.Signatures = []struct{}{}
	}
	if f.Documents != nil {
		t.Documents = []struct{}{}
	}
	return toJSON(t)
}

func (t findingText) finding() rem.Finding {
	f := rem.Finding{
		Verdict: t.Verdict, Indication: t.Indication, SubIndication: t.SubIndication,
		Reason: t.Reason, Detail: t.Detail, Uncovered: t.Uncovered, Unsigned: t.Unsigned,
	}
	if t.Signatures != nil {
		f.Signatures = []rem.Signature{}
	}
	if t.Documents != nil {
		f.Documents = []rem.Document{}
	}
	return f
}

// letterText is what a letter says of itself. The claimed date keeps its zone,
// which a reader is shown, whatever a hostile Date field made of it.
type letterText struct {
	MessageID string   `json:"message_id"`
	Subject   string   `json:"subject"`
	From      []string `json:"from"`
	To        []string `json:"to"`
	Date      *stamp   `json:"date"`
}

type stamp struct {
	Micros int64 `json:"us"`
	Offset int   `json:"offset"` // seconds east of UTC
}

func packLetter(l rem.LetterFacts) (string, error) {
	t := letterText{MessageID: l.MessageID, Subject: l.Subject, From: l.From, To: l.To}
	if !l.Date.IsZero() {
		_, offset := l.Date.Zone()
		t.Date = &stamp{l.Date.UnixMicro(), offset}
	}
	return toJSON(t)
}

func (t letterText) facts(ref rem.Ref) rem.LetterFacts {
	l := rem.LetterFacts{Ref: ref, MessageID: t.MessageID, Subject: t.Subject, From: t.From, To: t.To}
	if t.Date != nil {
		l.Date = time.UnixMicro(t.Date.Micros).UTC()
		if t.Date.Offset != 0 {
			l.Date = l.Date.In(time.FixedZone("", t.Date.Offset))
		}
	}
	return l
}

// findingRows are the rows of a finding's documents, signatures, certificates.
type findingRows struct {
	documents, signatures [][]any
	certificates          [][]byte
}

func packRows(submission string, f rem.Finding) (findingRows, error) {
	var r findingRows
	for i, d := range f.Documents {
		body, err := toJSON(d)
		if err != nil {
			return r, err
		}
		r.documents = append(r.documents, []any{submission, i, d.SHA256, d.SignedSHA256, body})
	}
	for i, s := range f.Signatures {
		body, err := toJSON(s)
		if err != nil {
			return r, err
		}
		part, err := toJSON(s.Part)
		if err != nil {
			return r, err
		}
		var certificate rem.Digest
		if s.Certificate != nil {
			certificate = rem.DigestOf(s.Certificate)
			r.certificates = append(r.certificates, s.Certificate)
		}
		r.signatures = append(r.signatures, []any{submission, i, s.SignatureSHA256, certificate, part, s.Raw, body})
	}
	return r, nil
}

func (t *tx) addFindingRows(r findingRows) error {
	if err := t.addCertificates(r.certificates...); err != nil {
		return err
	}
	if _, err := t.insert(insertion{into: "documents (submission, place, sha256, signed_sha256, body)", rows: r.documents}); err != nil {
		return err
	}
	_, err := t.insert(insertion{into: "signatures (submission, place, sha256, certificate, part, raw, body)", rows: r.signatures})
	return err
}

// Documents lists the documents of a submission, none for an unknown one.
func (db *DB) Documents(ctx context.Context, submission string) ([]rem.Document, error) {
	out, err := db.read(ctx).documents(submission)
	if err != nil {
		return nil, fmt.Errorf("documents of %s: %w", submission, err)
	}
	return out, nil
}

func (s *session) documents(submission string) ([]rem.Document, error) {
	return list(s, func(d *rem.Document) []any { return []any{document{d}} },
		"SELECT body FROM documents WHERE submission = $1 ORDER BY place", submission)
}

// loadFinding completes a submission's finding from its rows.
func (s *session) loadFinding(id string, f *rem.Finding) error {
	documents, err := s.documents(id)
	if err != nil {
		return err
	}
	f.Documents = append(f.Documents, documents...)
	signatures, err := list(s, func(g *rem.Signature) []any {
		return []any{document{g}, document{&g.Part}, &g.Raw, &g.Certificate}
	}, `SELECT s.body, s.part, s.raw, c.der FROM signatures s LEFT JOIN certificates c ON c.sha256 = s.certificate
		WHERE s.submission = $1 ORDER BY s.place`, id)
	if err != nil {
		return err
	}
	f.Signatures = append(f.Signatures, signatures...)
	return nil
}
