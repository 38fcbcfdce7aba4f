package document

import (
	"strings"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// words are all the strings of one language. A test sees to it that both
// languages have every one of them.
type words struct {
	Lang     string
	Months   [12]string // as they stand in a date
	YearMark string     // after the year
	Bytes    [3]string  // one, few, many
	Yes, No  string
	Footer   string

	ProtocolTitle, ReportTitle              string
	ProtocolOf, ReportOf                    string // + id
	ReportForSender, ReportForRecipient     string
	PreviewMark, PreviewText, PreviewResult string
	Statement, PreviewStatement             string
	SignedNote, UnsignedNote                string
	Checker, CheckerIntro, PreviewIntro     string
	Consignment, Documents, Signatures      string
	NotSigned, NotSignedIntro, NothingOpen  string
	UncoveredIntro                          string
	Rules, Meaning, HowTo, HowToIntro       string
	Recipients, RecipientsOwn               string
	NoEvents, NoDocuments, NoSignatures     string
	SubmissionPart                          string

	Gateway, ID, Made, Address, Name, Subject                 string
	Issuer, Serial, CertificateDigest, CertificateSubject     string
	ConsignmentID, SubmissionID, Sender, Recipient            string
	LetterSubject, LetterDate, LetterReceived, LetterDigest   string
	LetterDateNote, LetterDigestNote, MessageID, LetterSize   string
	MediaType, Size, FileDigest, SignedDigest                 string
	SignedDigestNote, SignedBy, NotSignedShort, NoteBadge     string
	Format, Algorithm, Signer, Email, NoEmail, AnchorKind     string
	ClaimedTime, ClaimedNote, NoClaimedTime, JudgedAt         string
	JudgedNote, Result, Covers, Place, SignatureDigest, Bound string
	LetterItself, NoCertificate, Checks, Detail, Reason       string
	AnchorNotPassed                                           string
	RuleSigner, RuleRevocation, RuleBare                      string
	AcceptanceEvidence, Accepted, Expires, Evidence, By       string
	Repeats, RepeatsNote, Grade, ProtocolID                   string
	ProtocolDigest, SignedAt, CheckedResult                   string
	SignatureNumber                                           string

	Verdicts        map[rem.Verdict]sentence
	Indications     map[string]string
	SubIndications  map[string]string
	Reasons         map[rem.Reason]string
	Statuses        map[string]string // of one check
	CheckNames      map[string]string
	AnchorKinds     map[string]string
	Formats         map[string]string
	Bindings        map[string]string // rem.Signature.Bound
	Events          map[rem.Event]string
	Grades          map[rem.Grade]sentence
	Reports         map[string]string // ReportEvent.Reason
	SignerRules     map[string]string // Policy.DocumentSigner
	RevocationRules map[string]string // Policy.Revocation
	Open            map[string]string // what may stay unsigned, in the judge's words
	Receipt         receiptWords
}

// sentence is a short answer and what it means.
type sentence struct{ Short, Long string }

// wordsFor is the language asked for, English when there is no such.
func wordsFor(lang string) *words {
	if lang == "ru" {
		return russian()
	}
	return english()
}

// or looks a word up and falls back on what was asked for: a new word of a
// neighbour must show as it is rather than vanish.
func or[K ~string](table map[K]string, key K) string {
	if s, ok := table[key]; ok {
		return s
	}
	return string(key)
}

// The judge's words for what may stay unsigned. The last two are followed by a
// name.
const (
	openHeader = "header fields"
	openNote   = "covering note"
	openField  = "header field"
)

// open puts one of the judge's words for what may stay unsigned into the
// reader's language; the name behind it stays.
func (w *words) open(s string) string {
	if word, ok := w.Open[s]; ok {
		return word
	}
	for _, kind := range []string{openNote, openField} {
		if name, ok := strings.CutPrefix(s, kind+" "); ok {
			return w.Open[kind] + ": " + name
		}
	}
	return s
}
