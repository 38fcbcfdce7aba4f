package rem

import "time"

// Envelope is what the door knows of one transaction.
type Envelope struct {
	ID         string   // id of the transaction, shown to the user; becomes the submission's id
	Account    string   // id of the account that logged in
	Login      string   // its address
	Addresses  []string // every confirmed address of the account
	From       string   // reverse-path
	Recipients []string // forward-paths, in order, each once; Bcc among them
	Peer       string   // IP address of the client
	TLS        string   // protocol version and cipher suite
	Door       string   // "submissions", "submission"
}

// LetterFacts are what a letter says of itself. All of it is outside text.
type LetterFacts struct {
	Ref       Ref       `json:"ref"` // exact wire bytes
	MessageID string    `json:"message_id"`
	Subject   string    `json:"subject"`
	From      []string  `json:"from"` // addresses of every From field, in order
	FromName  string    `json:"from_name"`
	To        []string  `json:"to"`   // visible recipients: To and Cc
	Date      time.Time `json:"date"` // claimed; zero when absent or unreadable
}

// Party is whom a signer has to be for his signature to bind the sender.
type Party struct {
	Addresses         []string // confirmed addresses
	CertificateSHA256 []Digest // certificates registered to the account
}

// Policy is the gateway's own choice within the verdict table.
type Policy struct {
	DocumentSigner string // "sender" (default): one signer of each document is bound to the sender; "any"
	Revocation     string // "hard" (default): unknown revocation is 451; "soft": accepted, recorded as indeterminate
	AcceptBare     bool   // accept signatures without signed attributes (indeterminate)
	LinkLifetime   time.Duration
}

// Submission is one accepted letter (EN 319 522-1 §4.2.1: submitted original content).
type Submission struct {
	ID         string
	Account    string
	Sender     string // the From address
	SenderName string // display name of From, outside text
	Time       time.Time
	Envelope   Envelope
	Letter     LetterFacts
	Finding    Finding
	// Repeats is the id of an earlier submission that carried the same signed
	// bytes to others; "" when there is none. The sender is told.
	Repeats string
}

// Consignment is one recipient's copy.
type Consignment struct {
	ID         string
	Submission string
	Recipient  string // address as given in the forward-path
	Expires    time.Time
}

// Submit decides what follows from a judged letter: either a submission, its
// consignments and the evidence that attests it, or a refusal with its own
// evidence. It is the only place where findings become consequences.
func Submit(env Envelope, facts LetterFacts, f Finding, p Policy, now time.Time) (*Accepted, *Refusal) {
	if r := door(env, facts, f, p); r != nil {
		r.ID = env.ID
		return nil, r
	}
	s := Submission{ID: env.ID, Account: env.Account, Time: now, Envelope: env, Letter: facts, Finding: f}
	if len(facts.From) == 1 {
		s.Sender, s.SenderName = facts.From[0], facts.FromName
	}
	a := &Accepted{Submission: s}
	for _, rcpt := range env.Recipients {
		a.Consignments = append(a.Consignments, Consignment{
			ID:         deriveID(env.ID, "consignment", rcpt),
			Submission: env.ID,
			Recipient:  rcpt,
			Expires:    now.Add(p.LinkLifetime),
		})
	}
	return a, nil
}

// Accepted is what one accepted letter adds to the installation.
type Accepted struct {
	Submission   Submission
	Consignments []Consignment
}

// Evidence attests the acceptance to the sender: everything of S4.6. It names
// all recipients and is his record alone.
func (a *Accepted) Evidence() Evidence {
	s := a.Submission
	r := recordOf(s.ID, s.Letter.Ref, s.Finding)
	r.Sender, r.Recipients, r.Repeats = s.Sender, s.Envelope.Recipients, s.Repeats
	return Attest(SubmissionAcceptance, s.ID, 0, s.Time, r)
}

// Rejection attests that a letter was refused, why, and what it was.
func Rejection(env Envelope, wire Ref, r *Refusal, now time.Time) Evidence {
	rec := recordOf(env.ID, wire, r.Finding)
	rec.Sender, rec.Recipients = env.Login, env.Recipients
	rec.Reason, rec.Detail = string(r.Reason), r.Finding.Detail
	return Attest(SubmissionRejection, env.ID, 0, now, rec)
}

func recordOf(id string, wire Ref, f Finding) Record {
	r := Record{Submission: id, Digests: map[string]string{"letter.sha256": wire.SHA256.String()}}
	for _, d := range f.Documents {
		r.Documents = append(r.Documents, DocumentRecord{
			Name: d.Name, Size: d.Size, SHA256: d.SHA256, SignedSHA256: d.SignedSHA256, Signatures: d.Signatures,
		})
	}
	for _, s := range f.Signatures {
		r.Signatures = append(r.Signatures, s.Record())
	}
	return r
}

// Record is what evidence says of a signature.
func (s Signature) Record() SignatureRecord {
	return SignatureRecord{
		SHA256: s.SignatureSHA256, CertificateSHA256: s.CertificateSHA256, Signer: s.Signer, Issuer: s.Issuer,
		Serial: s.Serial, Indication: s.Indication, SubIndication: s.SubIndication,
	}
}
