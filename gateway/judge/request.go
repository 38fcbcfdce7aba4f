package judge

import (
	"io"
	"log/slog"
	"time"

	"cryptogramm.ru/cryptogramm/gateway/message"
	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// Caps on one judgement. Beyond them the letter is refused as malformed.
const (
	maxNesting    = 3         // signatures of letters and enveloping files within one another
	maxSignatures = 100       // signers, and files that may be signatures, in one letter
	maxEffort     = 1_500_000 // microseconds of public-key operations, see pki.Effort
	maxRaw        = 64 << 10  // octets of a signature that are kept in the finding
	maxMemory     = 1 << 20   // octets of opaque content held in memory by one judgement
)

// ReasonInterrupted is the reason of a finding that says nothing about the
// letter: its bytes could not be read, or the context ended. Callers answer it
// with a temporary error of their own.
const ReasonInterrupted rem.Reason = "interrupted"

// Source opens the same octets anew at each call.
type Source = func() (io.ReadCloser, error)

// Request is everything a verdict depends on besides the bytes.
type Request struct {
	Verifier *signer.Verifier
	Party    rem.Party      // whom a signer has to be
	Policy   rem.Policy     // DocumentSigner "any" asks of files only that they are signed
	Now      time.Time      // the moment at which certificates have to be valid
	StatusAt time.Time      // the moment whose lists and answers on revocation count; zero: Now
	Limits   message.Limits // for letters within signatures and for all parts together; zero: message.DefaultLimits
	TempDir  string         // where contents of opaque signatures over 1 MiB go; "": the system's
	Log      *slog.Logger   // for panics; nil: slog.Default
}

func (q Request) withDefaults() Request {
	if q.Limits == (message.Limits{}) {
		q.Limits = message.DefaultLimits()
	}
	if q.Log == nil {
		q.Log = slog.Default()
	}
	if q.Verifier == nil {
		q.Verifier = &signer.Verifier{}
	}
	return q
}
