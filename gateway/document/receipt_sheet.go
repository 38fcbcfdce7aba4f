package document

import (
	"encoding/hex"
	"strconv"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// files are the documents of the letter with their digests.
func (r Receipt) files(w *words) []section {
	all := r.Finding.Documents
	if len(all) == 0 {
		return nil
	}
	s := section{Title: w.Documents}
	for i, d := range all[:min(len(all), maxReceiptFiles)] {
		c := card{Number: strconv.Itoa(i+1) + ".", Title: clip(d.Name, maxReceiptName)}
		if d.Name == "" {
			c.Title = w.LetterItself
		}
		if d.Note {
			c.Badge = w.NoteBadge
		}
		c.Rows = rows(
			row{Label: w.Size, Value: w.size(d.Size)},
			row{Label: w.FileDigest, Value: digest(d.SHA256)})
		if d.SignedSHA256 != d.SHA256 {
			c.Rows = append(c.Rows, rows(row{Label: w.SignedDigest, Value: digest(d.SignedSHA256)})...)
		}
		s.Cards = append(s.Cards, c)
	}
	return []section{w.counted(s, len(all)-maxReceiptFiles)}
}

// counted says under a section how much was left out of it.
func (w *words) counted(s section, left int) section {
	if left > 0 {
		s.Cards = append(s.Cards, card{Title: w.more(left)})
	}
	return s
}

// judged are the events that the finding about the letter led to.
func judged(e rem.Event) bool {
	return e == rem.SubmissionAcceptance || e == rem.SubmissionRejection
}

// signed says who signed and with what result: every check of it where the
// letter was refused. A receipt of the recipient's own signature names that.
func (r Receipt) signed(w *words) []section {
	if !judged(r.Evidence.Event) || len(r.Finding.Signatures) == 0 {
		return r.recorded(w)
	}
	s := section{Title: w.Signatures}
	left, room := 0, maxReceiptChecks
	for i, sig := range r.Finding.Signatures {
		if i >= maxReceiptSignatures {
			left++
			continue
		}
		c := w.receiptSignature(i, sig)
		if r.Evidence.Event == rem.SubmissionRejection {
			room = w.receiptChecks(&c, sig.Checks, room)
		}
		s.Cards = append(s.Cards, c)
	}
	out := []section{w.counted(s, left)}
	return append(out, r.uncovered(w)...)
}

// receiptSignature is a signature in a few lines.
func (w *words) receiptSignature(i int, sig rem.Signature) card {
	claimed := row{Label: w.ClaimedTime, Value: w.NoClaimedTime}
	if sig.ClaimedTime != nil {
		claimed.Value, claimed.Note = w.when(*sig.ClaimedTime), w.ClaimedNote
	}
	return card{
		Number: w.SignatureNumber + " " + strconv.Itoa(i+1), Title: clip(w.signer(sig), maxReceiptName),
		Lead: w.indication(sig), Badge: codes(sig.Indication, sig.SubIndication), Caption: w.Checks,
		Rows: rows(
			row{Label: w.Email, Value: clip(sig.Email, maxReceiptName)},
			row{Label: w.Bound, Value: or(w.Bindings, sig.Bound)},
			row{Label: w.Covers, Value: w.covers(sig.Covers)},
			row{Label: w.AnchorKind, Value: w.trust(sig)},
			claimed,
			row{Label: w.JudgedAt, Value: w.when(sig.BestTime)},
			row{Label: w.Algorithm, Value: clip(sig.Algorithm, maxReceiptName)},
			row{Label: w.Issuer, Value: clip(sig.Issuer, maxReceiptName)},
			row{Label: w.Serial, Value: clip(sig.Serial, maxReceiptName)},
			row{Label: w.CertificateDigest, Value: digest(sig.CertificateSHA256)},
			row{Label: w.SignatureDigest, Value: digest(sig.SignatureSHA256)}),
	}
}

// covers names what a signature is over, the first few by name.
func (w *words) covers(names []string) string {
	const most = 10
	text := ""
	for i, n := range names[:min(len(names), most)] {
		if i > 0 {
			text += "; "
		}
		text += clip(n, maxReceiptName/2)
	}
	if more := len(names) - most; more > 0 {
		text += "; " + w.more(more)
	}
	return text
}

// receiptChecks puts the checks into a card, as many as there is room for, and
// answers how much room is left. What did not pass is never left out for what did.
func (w *words) receiptChecks(c *card, checks []rem.Check, room int) int {
	left, trouble := 0, 0
	for _, k := range checks {
		if k.Status != "passed" {
			trouble++
		}
	}
	trouble = min(trouble, room)
	good := room - trouble
	for _, k := range checks {
		budget := &good
		if k.Status != "passed" {
			budget = &trouble
		}
		if *budget <= 0 {
			left++
			continue
		}
		*budget--
		k.Detail, k.Name, k.Status = clip(k.Detail, maxReceiptDetail), clip(k.Name, maxReceiptName), clip(k.Status, maxReceiptName)
		c.Checks = append(c.Checks, w.check(k))
	}
	if left > 0 {
		c.Rows = append(c.Rows, row{Label: w.Checks, Value: w.more(left)})
	}
	return good
}

// recorded are the signatures that the evidence itself names: the recipient's
// own under his protocol, or the letter's as they were found later.
func (r Receipt) recorded(w *words) []section {
	list := r.Evidence.Record.Signatures
	if len(list) == 0 || judged(r.Evidence.Event) {
		return r.uncovered(w)
	}
	s := section{Title: w.Signatures}
	if r.Evidence.Event == rem.RecipientVerification {
		s.Title = w.Receipt.OwnSignature
	}
	for i, sig := range list[:min(len(list), maxReceiptSignatures)] {
		s.Cards = append(s.Cards, card{
			Number: w.SignatureNumber + " " + strconv.Itoa(i+1), Title: clip(sig.Signer, maxReceiptName),
			Lead:  w.indication(rem.Signature{Indication: sig.Indication, SubIndication: sig.SubIndication}),
			Badge: codes(sig.Indication, sig.SubIndication),
			Rows: rows(
				row{Label: w.Issuer, Value: clip(sig.Issuer, maxReceiptName)},
				row{Label: w.Serial, Value: clip(sig.Serial, maxReceiptName)},
				row{Label: w.CertificateDigest, Value: digest(sig.CertificateSHA256)},
				row{Label: w.SignatureDigest, Value: digest(sig.SHA256)}),
		})
	}
	return []section{w.counted(s, len(list)-maxReceiptSignatures)}
}

// uncovered names what would have had to be signed.
func (r Receipt) uncovered(w *words) []section {
	all := r.Finding.Uncovered
	if len(all) == 0 || !judged(r.Evidence.Event) {
		return nil
	}
	s := section{Title: w.NotSigned, Intro: []string{w.UncoveredIntro}}
	for _, x := range all[:min(len(all), maxReceiptFiles)] {
		s.List = append(s.List, clip(x, maxReceiptName))
	}
	if left := len(all) - maxReceiptFiles; left > 0 {
		s.List = append(s.List, w.more(left))
	}
	return []section{s}
}

// proof is what anyone needs to check the evidence by hand.
func (r Receipt) proof(w *words) section {
	s := section{Title: w.Receipt.Proof, Rows: rows(
		row{Label: w.Evidence, Value: r.Evidence.ID},
		row{Label: w.Receipt.Event, Value: string(r.Evidence.Event)},
		row{Label: w.Receipt.Salt, Value: hex.EncodeToString(r.Salt)},
		row{Label: w.Receipt.Digest, Value: digest(r.Digest)},
		row{Label: w.Gateway, Value: r.Gateway})}
	if r.File == "" {
		s.Intro = []string{w.Receipt.TooLarge}
		return s
	}
	s.Intro = []string{w.Receipt.ProofIntro}
	s.Code = "cryptogramm verify " + r.File
	return s
}

// ownSignature tells how to check the signature under the mail itself.
func (w *words) ownSignature() section {
	return section{
		Title: w.Receipt.Signed, Intro: []string{w.Receipt.SignedIntro},
		Code: "openssl cms -verify -in receipt.eml -CAfile ca.pem",
	}
}
