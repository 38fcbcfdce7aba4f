package document

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// EvidenceFormat is the name of the evidence file's format.
const EvidenceFormat = "cryptogramm-evidence/1"

// MaxEvidence is how many octets ParseEvidence reads at most.
const MaxEvidence = 32 << 20

// Errors of an evidence file.
var (
	ErrEvidenceFormat = errors.New("not an evidence file")
	ErrEvidenceDigest = errors.New("the digest is not that of salt and record")
)

// EvidenceFile is the machine-readable evidence that goes with a receipt: the
// stored record, octet for octet, with what its digest is made of.
//
// The file is RFC 8785 JSON, {"digest", "format", "gateway", "record", "salt"},
// digest and salt in lower-case hex. RFC 8785 writes a value within another as
// it writes it alone, so the value of "record" is the very octets that the
// digest SHA-256(salt ‖ record) was taken over: cut out, not rebuilt.
//
// The file proves no more than that its parts belong together. That they are
// the gateway's, it has from the signature of the mail around it, or from the
// digest in the gateway's own insert-only row.
type EvidenceFile struct {
	Gateway string
	Salt    []byte
	Record  []byte // RFC 8785 JSON of a rem.Record
	Digest  rem.Digest
}

type evidenceFile struct {
	Digest  rem.Digest      `json:"digest"`
	Format  string          `json:"format"`
	Gateway string          `json:"gateway"`
	Record  json.RawMessage `json:"record"`
	Salt    string          `json:"salt"`
}

// JSON is the file.
func (e EvidenceFile) JSON() ([]byte, error) {
	b, err := rem.Canonical(evidenceFile{
		Digest: e.Digest, Format: EvidenceFormat, Gateway: e.Gateway, Record: e.Record, Salt: hex.EncodeToString(e.Salt),
	})
	if err != nil {
		return nil, fmt.Errorf("write evidence file: %w", err)
	}
	if !bytes.Contains(b, e.Record) {
		return nil, fmt.Errorf("write evidence file: %w: the record is not canonical", ErrEvidenceFormat)
	}
	return b, nil
}

// ParseEvidence reads what JSON wrote, white space around it aside, and checks
// the digest. Bytes that would be written differently are ErrEvidenceFormat;
// parts that do not belong together are ErrEvidenceDigest, with the file.
func ParseEvidence(b []byte) (*EvidenceFile, error) {
	if len(b) > MaxEvidence {
		return nil, fmt.Errorf("%w: %d octets", ErrEvidenceFormat, len(b))
	}
	b = bytes.TrimSpace(b)
	var f evidenceFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrEvidenceFormat, err)
	}
	salt, err := hex.DecodeString(f.Salt)
	if err != nil || f.Format != EvidenceFormat || !bytes.HasPrefix(f.Record, []byte("{")) {
		return nil, ErrEvidenceFormat
	}
	e := &EvidenceFile{Gateway: f.Gateway, Salt: salt, Record: f.Record, Digest: f.Digest}
	if again, err := e.JSON(); err != nil || !bytes.Equal(again, b) {
		return nil, ErrEvidenceFormat
	}
	if e.sum() != e.Digest {
		return e, ErrEvidenceDigest
	}
	return e, nil
}

// sum is SHA-256(salt ‖ record).
func (e EvidenceFile) sum() rem.Digest {
	h := sha256.New()
	h.Write(e.Salt)
	h.Write(e.Record)
	return rem.Digest(h.Sum(nil))
}

// Evidence is the record in its Go form.
func (e EvidenceFile) Evidence() (rem.Record, error) {
	var r rem.Record
	if err := json.Unmarshal(e.Record, &r); err != nil {
		return r, fmt.Errorf("%w: %v", ErrEvidenceFormat, err)
	}
	return r, nil
}
