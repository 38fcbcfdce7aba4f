package document

import "cryptogramm.ru/cryptogramm/store/rem"

// sheet lays a protocol out. The digest it shows is that of the JSON: the
// reader can tell that page and signed file belong together.
func (p Protocol) sheet(w *words) (*sheet, error) {
	body, err := p.JSON()
	if err != nil {
		return nil, err
	}
	f := findingOf(p.Finding)
	f.NotSigned = withoutFields(f.NotSigned)
	s := &sheet{
		Words: w, Title: w.ProtocolTitle, Subtitle: w.ProtocolOf + " " + p.ID, Result: w.resultOf(f),
		Sections: []section{p.checker(w), p.consignment(w), w.documents(f), w.signatures(f), w.openPart(f), w.rules(p.Policy)},
	}
	if p.Preview() {
		s.Mark, s.MarkText, s.Subtitle = w.PreviewMark, w.PreviewText, w.PreviewMark
		s.Result.Head = w.PreviewResult + ": " + s.Result.Head
		if s.Result.Tone == good {
			s.Result.Tone = plain // a cropped picture of a preview must not look like a passed protocol
		}
		return s, nil
	}
	s.Sections = append(s.Sections, p.meaning(w), howTo(w, rem.DigestOf(body)))
	return s, nil
}

func (p Protocol) checker(w *words) section {
	list := []row{{Label: w.Recipient, Value: person(p.Recipient), Outside: true}}
	intro := w.PreviewIntro
	if c := p.RecipientCertificate; c != nil {
		intro = w.CheckerIntro
		list = append(list, w.certificate(*c)...)
	}
	list = append(list,
		row{Label: w.Made, Value: w.when(p.Made)},
		row{Label: w.Gateway, Value: p.Gateway, Outside: true})
	return section{Title: w.Checker, Intro: []string{intro}, Rows: rows(list...)}
}

func (w *words) certificate(c Certificate) []row {
	return []row{
		{Label: w.CertificateSubject, Value: c.Subject, Outside: true},
		{Label: w.Issuer, Value: c.Issuer, Outside: true},
		{Label: w.Serial, Value: c.Serial, Outside: true, Mono: true},
		{Label: w.CertificateDigest, Value: digest(c.SHA256), Mono: true},
	}
}

func (p Protocol) consignment(w *words) section {
	return section{Title: w.Consignment, Rows: append(w.letter(p.Sender, p.Letter), rows(
		row{Label: w.SubmissionID, Value: p.Submission, Mono: true, Outside: true},
		row{Label: w.ConsignmentID, Value: p.Consignment, Mono: true, Outside: true})...)}
}

// letter are the rows that protocol and report share.
func (w *words) letter(from Person, l Letter) []row {
	return rows(
		row{Label: w.Sender, Value: person(from), Outside: true},
		row{Label: w.LetterSubject, Value: l.Subject, Outside: true},
		row{Label: w.LetterReceived, Value: w.when(l.Received)},
		row{Label: w.LetterDate, Value: w.when(l.Date), Note: w.LetterDateNote},
		row{Label: w.MessageID, Value: l.MessageID, Mono: true, Outside: true},
		row{Label: w.LetterSize, Value: w.size(l.Ref.Size)},
		row{Label: w.LetterDigest, Value: digest(l.Ref.SHA256), Mono: true, Note: w.LetterDigestNote})
}

func (w *words) rules(p Policy) section {
	return section{Title: w.Rules, Rows: rows(
		row{Label: w.RuleSigner, Value: or(w.SignerRules, p.DocumentSigner), Outside: true},
		row{Label: w.RuleRevocation, Value: or(w.RevocationRules, p.Revocation), Outside: true},
		row{Label: w.RuleBare, Value: w.yesNo(p.AcceptBare)})}
}

func (p Protocol) meaning(w *words) section {
	statement := w.Statement
	s := section{Title: w.Meaning, Intro: []string{statement, w.UnsignedNote}}
	if a := p.Signed; a != nil {
		s.Intro[1] = w.SignedNote
		s.Rows = rows(
			row{Label: w.SignedAt, Value: w.when(a.Time)},
			row{Label: w.SignatureDigest, Value: digest(a.Signature), Mono: true})
	}
	return s
}

func howTo(w *words, d rem.Digest) section {
	return section{
		Title: w.HowTo, Intro: []string{w.HowToIntro},
		Rows: rows(row{Label: w.ProtocolDigest, Value: d.String(), Mono: true}),
		Code: "openssl cms -verify -binary -inform DER -in protocol.p7s -content protocol.json -CAfile ca.pem -out /dev/null",
	}
}
