package gateway

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
	"cryptogramm.ru/cryptogramm/store"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// tamper changes rows as an operator can who has the database: past the
// guards, which stand again afterwards.
func (w *world) tamper(query string, args ...any) {
	w.t.Helper()
	db := w.sql()
	defer db.Close()
	db.SetMaxOpenConns(1)
	guards := map[string]string{}
	rows, err := db.Query("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
	w.must(err)
	for rows.Next() {
		var name, text string
		w.must(rows.Scan(&name, &text))
		guards[name] = text
	}
	w.must(rows.Close())
	for name := range guards {
		_, err := db.Exec("DROP TRIGGER " + name)
		w.must(err)
	}
	result, err := db.Exec(query, args...)
	w.must(err)
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		w.t.Fatalf("%s changed nothing (%v)", query, err)
	}
	for _, text := range guards {
		_, err := db.Exec(text)
		w.must(err)
	}
}

// whole is an installation in which everything has happened once, and the ids
// of what did.
type whole struct {
	*world
	submission, refusal, received, verified, expired, protocol string
}

func newWhole(t *testing.T) *whole {
	w := &whole{world: newWorld(t)}
	w.register(&w.carol)
	w.submission = w.send(signed(t, w.anna.Party), bob, "carol@in.test", dora)
	env := w.envelope(w.anna, bob)
	_, err := w.Receive(t.Context(), env, strings.NewReader(header()+body()))
	refused(t, err)
	w.refusal = env.ID
	run := w.runner()
	run.all()
	w.received, w.verified, w.expired = w.to(w.submission, bob).ID, w.to(w.submission, "carol@in.test").ID, w.to(w.submission, dora).ID
	w.take(w.row(w.received))
	w.take(w.row(w.verified))
	w.protocol = w.acknowledge(w.carol, w.verified)
	w.clock.pass(w.Limits.LinkLife)
	run.all()
	return w
}

func TestFsckOfACleanInstallation(t *testing.T) {
	w := newWhole(t)
	w.fsck()
	if got := w.events(store.EvidenceFilter{Submission: w.submission}); len(got) != 10 {
		t.Errorf("attested %v", got)
	}
}

// Every change of a row, and of bytes, is named.
func TestFsckNamesTampering(t *testing.T) {
	ids := func(w *whole) map[string]string {
		return map[string]string{
			"SUBMISSION": w.submission, "REFUSAL": w.refusal, "RECEIVED": w.received, "VERIFIED": w.verified, "EXPIRED": w.expired,
			"PROTOCOL": w.protocol, "ANNA": w.anna.user.ID,
		}
	}
	for name, c := range map[string]struct{ query, named string }{
		"sender":                    {"UPDATE submissions SET sender = 'eve@in.test' WHERE id = 'SUBMISSION'", "SUBMISSION"},
		"account":                   {"UPDATE submissions SET account = (SELECT id FROM users WHERE email = 'carol@in.test') WHERE id = 'SUBMISSION'", "SUBMISSION"},
		"time of submission":        {"UPDATE submissions SET time = time - 1000000 WHERE id = 'SUBMISSION'", ""},
		"digest of the letter":      {"UPDATE submissions SET sha256 = zeroblob(32) WHERE id = 'SUBMISSION'", "SUBMISSION"},
		"size of the letter":        {"UPDATE submissions SET size = size + 1 WHERE id = 'SUBMISSION'", "SUBMISSION"},
		"envelope":                  {"UPDATE submissions SET envelope = replace(envelope, 'bob@out.test', 'eve@out.test')", "SUBMISSION"},
		"repeats":                   {"UPDATE submissions SET repeats = 'RECEIVED' WHERE id = 'SUBMISSION'", "SUBMISSION"},
		"verdict":                   {"UPDATE submissions SET finding = replace(finding, 'passed', 'failed')", "SUBMISSION"},
		"recipient":                 {"UPDATE consignments SET recipient = 'eve@out.test' WHERE id = 'EXPIRED'", "EXPIRED"},
		"a consignment gone":        {"DELETE FROM consignments WHERE id = 'EXPIRED'", "SUBMISSION"},
		"state":                     {"UPDATE consignments SET state = 'received' WHERE id = 'EXPIRED'", "EXPIRED"},
		"state, back":               {"UPDATE consignments SET state = 'notified' WHERE id = 'EXPIRED'", "EXPIRED"},
		"receiver":                  {"UPDATE consignments SET received_by = 'ANNA' WHERE id = 'RECEIVED'", "RECEIVED"},
		"time of receipt":           {"UPDATE consignments SET received_at = received_at - 60000000 WHERE id = 'RECEIVED'", ""},
		"grade":                     {"UPDATE consignments SET grade = 'certificate' WHERE id = 'RECEIVED'", ""},
		"received never":            {"UPDATE consignments SET received_at = 0, received_by = NULL, state = 'notified' WHERE id = 'RECEIVED'", "RECEIVED"},
		"name of a document":        {"UPDATE documents SET body = replace(body, 'contract.pdf', 'receipt.pdf')", "SUBMISSION"},
		"digest of a document":      {"UPDATE documents SET body = replace(body, lower(hex(sha256)), '" + strings.Repeat("0", 64) + "'), sha256 = zeroblob(32)", "SUBMISSION"},
		"searched digest":           {"UPDATE documents SET signed_sha256 = zeroblob(32)", "SUBMISSION"},
		"place of a document":       {`UPDATE documents SET body = json_set(body, '$.part.length', 1)`, "SUBMISSION"},
		"a document gone":           {"DELETE FROM documents WHERE place = 0", "SUBMISSION"},
		"digest of a signature":     {"UPDATE signatures SET sha256 = zeroblob(32)", "SUBMISSION"},
		"place of a signature":      {`UPDATE signatures SET part = json_set(part, '$.length', 8)`, "SUBMISSION"},
		"signer":                    {"UPDATE signatures SET body = replace(body, 'CN=Anna', 'CN=Eve')", "SUBMISSION"},
		"certificate":               {"UPDATE certificates SET der = zeroblob(300)", "certificates"},
		"evidence's time":           {"UPDATE evidence SET time = time - 1 WHERE event = 'ContentHandover' AND subject = 'RECEIVED'", ""},
		"evidence's event":          {"UPDATE evidence SET event = 'RecipientVerification' WHERE event = 'ContentHandover' AND subject = 'RECEIVED'", ""},
		"evidence's digest":         {"UPDATE evidence SET digest = zeroblob(32) WHERE event = 'RecipientVerification'", ""},
		"evidence gone":             {"DELETE FROM evidence WHERE event = 'SubmissionAcceptance'", "SUBMISSION"},
		"rejection gone":            {"DELETE FROM evidence WHERE event = 'SubmissionRejection'", "REFUSAL"},
		"handover gone":             {"DELETE FROM evidence WHERE event = 'ContentHandover' AND subject = 'RECEIVED'", "RECEIVED"},
		"record":                    {"UPDATE evidence_record SET record = replace(record, 'bob@out.test', 'eve@out.test')", ""},
		"salt":                      {"UPDATE evidence_record SET salt = zeroblob(16)", ""},
		"protocol's bytes":          {"UPDATE protocols SET body = CAST(replace(CAST(body AS TEXT), 'passed', 'Passed') AS BLOB)", "PROTOCOL"},
		"protocol's signature":      {"UPDATE protocols SET signature = zeroblob(length(signature))", "PROTOCOL"},
		"protocol's time":           {"UPDATE protocols SET signed_at = signed_at + 1000000", "PROTOCOL"},
		"protocol's certificate":    {"UPDATE protocols SET certificate = zeroblob(32)", "PROTOCOL"},
		"protocol's consignment":    {"UPDATE protocols SET consignment = 'RECEIVED'", "PROTOCOL"},
		"protocol gone":             {"DELETE FROM protocols", "PROTOCOL"},
		"protocol no longer signed": {"UPDATE protocols SET signature = NULL", "VERIFIED"},
		"refusal's letter":          {"UPDATE refusals SET sender = 'eve@in.test'", ""},
		"refusal gone":              {"DELETE FROM refusals", "REFUSAL"},
		"anchor":                    {"UPDATE anchors SET der = zeroblob(300)", "anchors"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWhole(t)
			put := func(s string) string {
				for word, id := range ids(w) {
					s = strings.ReplaceAll(s, word, id)
				}
				return s
			}
			w.tamper(put(c.query))
			w.wantProblem(put(c.named))
		})
	}
}

// Who changes a signature together with all evidence of it still lacks the
// recipient's key.
func TestFsckNamesAForgedProtocol(t *testing.T) {
	w := newWhole(t)
	forgeWith := func(key cmstest.Party) {
		t.Helper()
		p, err := w.DB.Protocol(t.Context(), w.protocol)
		w.must(err)
		rows, err := w.evidence(t.Context(), store.EvidenceFilter{Consignment: w.verified, Event: string(rem.RecipientVerification)})
		w.must(err)
		sig := forge(t, cmstest.Party{Key: key.Key, Certificate: w.carol.Certificate}, string(p.Body), nothing)
		var old rem.Record
		w.must(json.Unmarshal(rows[0].Record, &old))
		record := strings.ReplaceAll(string(rows[0].Record), old.Digests["protocol.signature.sha256"], rem.DigestOf([]byte(sig)).String())
		digest := rem.DigestOf(append(bytes.Clone(rows[0].Salt), record...))
		w.tamper("UPDATE protocols SET signature = ? WHERE id = ?", []byte(sig), w.protocol)
		w.tamper("UPDATE evidence_record SET record = ? WHERE id = ?", record, rows[0].ID)
		w.tamper("UPDATE evidence SET digest = ? WHERE id = ?", digest[:], rows[0].ID)
	}
	forgeWith(w.carol.Party) // another signature of hers: nothing is wrong with it
	w.fsck()
	forgeWith(w.anna.Party)
	w.wantProblem("protocol " + w.protocol)
}
