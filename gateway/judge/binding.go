package judge

import (
	"fmt"
	"slices"
	"strings"

	"cryptogramm.ru/cryptogramm/signer/pki"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// checkSender is the name of the check that a signer is the sender.
const checkSender = "signer-is-sender"

// bound says how a certificate ties its holder to the sender: "address",
// "registered", or "". A letter's signer must name the From address; for a
// file any confirmed address will do.
func (j *judgement) bound(s *seal, c *pki.Certificate) string {
	addresses := j.Party.Addresses
	if s.ofLetter {
		addresses = []string{j.from}
	}
	for _, own := range c.Emails() {
		if slices.ContainsFunc(addresses, func(a string) bool { return rem.SameAddress(a, own) }) {
			return "address"
		}
	}
	if slices.Contains(j.Party.CertificateSHA256, rem.Digest(c.SHA256)) {
		return "registered"
	}
	return ""
}

func emails(c *pki.Certificate) string { return strings.Join(c.Emails(), ", ") }

// bind asks of every outermost signature of a letter, and by policy of every
// document, that one of its signers is the sender. Files have no sender.
func (j *judgement) bind() {
	if j.from == "" {
		return
	}
	for _, s := range j.seals {
		if s.ofLetter && s.outer == nil {
			j.demand("the letter", []*seal{s})
		}
	}
	if j.Policy.DocumentSigner == "any" {
		return
	}
	for _, f := range j.leaves {
		if !f.note && len(f.seals) > 0 && !j.vouched(f) {
			j.demand(f.title(), f.seals)
		}
	}
}

// vouched says whether the file lies in a signature of the letter: that one
// has been asked already.
func (j *judgement) vouched(f *leaf) bool {
	return slices.ContainsFunc(f.seals, func(s *seal) bool { return s.ofLetter })
}

// demand objects when none of the signers is the sender.
func (j *judgement) demand(what string, seals []*seal) {
	var all []int
	for _, s := range seals {
		all = append(all, s.signatures...)
	}
	var bound, nameless, others []int
	for _, i := range all {
		switch sig := &j.finding.Signatures[i]; {
		case sig.Certificate == nil: // has its own objection
		case sig.Bound != "":
			bound = append(bound, i)
		case sig.Email == "":
			nameless = append(nameless, i)
		default:
			others = append(others, i)
		}
	}
	switch {
	case len(bound) > 0:
		for _, i := range bound {
			j.note(i, pki.Passed(), "")
		}
	case len(nameless) > 0:
		j.strange(nameless, rem.ReasonSignerUnbound, what+": the signer's certificate names no e-mail address and is not registered to the sender: ")
	case len(others) > 0:
		j.strange(others, rem.ReasonSignerNotSender, what+": the signer is not the sender: ")
	}
}

// strange objects to signers that are not the sender.
func (j *judgement) strange(signatures []int, reason rem.Reason, text string) {
	rows := table()
	words := rows[place(reason, j.Policy)].words
	first := j.finding.Signatures[signatures[0]]
	text += first.Signer
	if first.Email != "" {
		text += fmt.Sprintf(" <%s>", first.Email)
	}
	j.object(reason, text)
	for _, i := range signatures {
		j.note(i, words, oneLine(text))
	}
}

// note adds the outcome to the signature itself, once.
func (j *judgement) note(i int, v pki.Verdict, detail string) {
	sig := &j.finding.Signatures[i]
	if slices.ContainsFunc(sig.Checks, func(c rem.Check) bool { return c.Name == checkSender }) {
		return
	}
	status := pki.StatusPassed
	switch v.Indication {
	case pki.TotalFailed:
		status = pki.StatusFailed
	case pki.Indeterminate:
		status = pki.StatusIndeterminate
	}
	sig.Checks = append(sig.Checks, rem.Check{Name: checkSender, Status: string(status), Detail: detail})
	own := pki.Verdict{Indication: pki.Indication(sig.Indication), SubIndication: pki.SubIndication(sig.SubIndication)}
	worst := pki.Worst(own, v)
	sig.Indication, sig.SubIndication = string(worst.Indication), string(worst.SubIndication)
}
