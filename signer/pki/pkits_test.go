package pki

import (
	"archive/zip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"
)

// pkitsArchive is NIST's path validation suite, beside a clone of the project.
const (
	sharedFolder = "../../../shared"
	pkitsArchive = sharedFolder + "/corpora/pkits/PKITS_data.zip"
)

// pkitsAt lies within the validity of the suite's certificates and CRLs.
var pkitsAt = time.Date(2005, 1, 1, 0, 0, 0, 0, time.UTC)

// pkitsLimits are the tests left out of the suite's own judgement, by the start
// of their name, with the checks in which our answer differs and the reason.
// Everything else must come out as its name says, and these only so.
var pkitsLimits = []struct {
	prefix string
	checks []string
	reason string
}{
	{"ValidBasicSelfIssuedCRLSigningKeyTest6", []string{"revocation"}, crlKeyReason},
	{"ValidBasicSelfIssuedNewWithOldTest4", []string{"revocation"}, crlKeyReason},
	{"ValidBasicSelfIssuedOldWithNewTest1", []string{"revocation"}, crlKeyReason},
	{"ValidSeparateCertificateandCRLKeysTest19", []string{"revocation"}, crlKeyReason},
	{"ValidDNnameConstraintsTest19", []string{"revocation"}, crlKeyReason},
	{"ValidSelfIssuedpathLenConstraint", []string{"revocation"}, crlKeyReason},
	{"ValidSelfIssuedrequireExplicitPolicyTest6", []string{"revocation"}, crlKeyReason},
	{"ValidSelfIssuedinhibit", []string{"policy-constraints", "revocation"}, policyReason + "; " + crlKeyReason},
	{"ValidPolicyMapping", []string{"policy-constraints"}, policyReason},
	{"ValidinhibitAnyPolicyTest2", []string{"policy-constraints"}, policyReason},
	{"ValidinhibitPolicyMapping", []string{"policy-constraints"}, policyReason},
	{"ValidrequireExplicitPolicyTest4", []string{"policy-constraints"}, policyReason},
	{"ValidIDPwithindirectCRL", []string{"revocation"}, "indirect CRLs are not used"},
	{"ValidcRLIssuer", []string{"revocation"}, "indirect CRLs are not used"},
	{"ValidonlySomeReasons", []string{"revocation"}, "CRLs for a part of the reasons are not used"},
	{"ValiddeltaCRLTest5", []string{"revocation"}, "delta CRLs are not used: the hold in the base stands"},
	{"InvaliddeltaCRLTest4", nil, "delta CRLs are not used: the base alone does not name the certificate"},
	{"ValidDSA", []string{"path-algorithms", "revocation"}, "DSA is not in the algorithm table"},
}

// pkitsChecks are the checks that must report an invalid path, by a part of the test's name.
var pkitsChecks = []struct{ part, check string }{
	{"pathLenConstraint", "path-length"}, {"nameConstraints", "name-constraints"}, {"keyCertSignFalse", "key-usage"},
	{"cAFalse", "basic-constraints"}, {"MissingbasicConstraints", "basic-constraints"}, {"notAfterDate", "validity"},
	{"notBeforeDate", "validity"}, {"WrongCRL", "revocation"}, {"OldCRL", "revocation"}, {"MissingCRL", "revocation"},
	{"UnknownCRL", "revocation"}, {"BadCRL", "revocation"}, {"deltaCRL", "revocation"}, {"Revoked", "revocation"}, {"NameChaining", "path"},
	{"EESignature", "path"}, {"CASignature", "path"}, {"CriticalCertificateExtension", "critical-extensions"},
	{"requireExplicitPolicy", "policy-constraints"}, {"anyPolicy", "policy-constraints"}, {"distributionPoint", "revocation"},
	{"onlyContains", "revocation"}, {"SerialNumber", "revocation"},
}

const (
	crlKeyReason = "a CRL counts only under the key that signed the certificate"
	policyReason = "policies are not processed: a path that requires one fails"
)

func TestPKITS(t *testing.T) {
	archive, err := zip.OpenReader(pkitsArchive)
	if errors.Is(err, fs.ErrNotExist) {
		if _, missing := os.Stat(sharedFolder); missing == nil {
			t.Fatalf("the shared folder is there, %s is not", pkitsArchive)
		}
		t.Log("no shared folder beside this clone: PKITS is not run")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	leaves, store := loadPKITS(t, &archive.Reader)
	if len(leaves) < 200 {
		t.Fatalf("only %d tests in the archive", len(leaves))
	}
	for name, leaf := range leaves {
		t.Run(name, func(t *testing.T) { runPKITS(t, store, name, leaf) })
	}
}

// runPKITS judges one test. Those named neither Valid nor Invalid depend on the
// policies that a relying party wants; wanting none, they may fail for nothing
// but a required policy.
func runPKITS(t *testing.T, store *TrustStore, name string, leaf *Certificate) {
	p := store.Validate(PathRequest{Leaf: leaf, At: pkitsAt})
	bad := notPassed(p)
	for _, limit := range pkitsLimits {
		if strings.HasPrefix(name, limit.prefix) {
			if !slices.Equal(bad, limit.checks) {
				t.Errorf("%v, checks %v, want %v because %s", p.Verdict, bad, limit.checks, limit.reason)
			}
			return
		}
	}
	var ok bool
	switch {
	case strings.HasPrefix(name, "Valid"):
		ok = p.Verdict == Passed()
	case strings.HasPrefix(name, "Invalid"):
		ok = p.Verdict.Indication != TotalPassed
		for _, c := range pkitsChecks {
			ok = ok && (!strings.Contains(name, c.part) || slices.Contains(bad, c.check))
		}
	default:
		ok = len(bad) == 0 || slices.Equal(bad, []string{"policy-constraints"})
	}
	if !ok {
		t.Errorf("%v, checks %v: %+v", p.Verdict, bad, p.Checks)
	}
}

// loadPKITS sorts the archive into end-entity certificates by test name and a
// store of everything else, in which the search has to find its way.
func loadPKITS(t *testing.T, archive *zip.Reader) (map[string]*Certificate, *TrustStore) {
	leaves := make(map[string]*Certificate)
	var anchors []Anchor
	var intermediates []*Certificate
	var crls []*CRL
	for _, f := range archive.File {
		base := path.Base(f.Name)
		if f.FileInfo().IsDir() {
			continue
		}
		switch path.Dir(f.Name) {
		case "certs":
			c, err := ParseCertificate(readZip(t, f))
			if err != nil {
				t.Errorf("%s: %v", f.Name, err)
				continue
			}
			if test, ok := strings.CutSuffix(base, "EE.crt"); ok {
				leaves[test] = c
			} else if base == "TrustAnchorRootCertificate.crt" {
				anchors = append(anchors, Anchor{c, Foreign})
			} else {
				intermediates = append(intermediates, c)
			}
		case "crls":
			c, err := ParseCRL(readZip(t, f))
			if err != nil {
				t.Errorf("%s: %v", f.Name, err)
				continue
			}
			crls = append(crls, c)
		}
	}
	// The order of a zip archive is not ours to rely on.
	slices.SortFunc(intermediates, func(a, b *Certificate) int { return slices.Compare(a.SHA256[:], b.SHA256[:]) })
	store := NewTrustStore(anchors, intermediates, crls)
	store.weakAllowed = true
	return leaves, store
}

func readZip(t *testing.T, f *zip.File) []byte {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
