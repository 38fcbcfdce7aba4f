package store

import (
	"context"
	"fmt"
	"slices"

	"cryptogramm.ru/cryptogramm/store/rem"
)

// checker is one run of Check over one snapshot.
type checker struct {
	session
	report func(problem string)
	guards []string
}

// Check re-derives all that SQL alone can (invariant 6) and reports each thing
// that does not follow: guards that are gone, evidence whose id, digest or
// record does not fit its row, submissions and consignments that do not follow
// from what was received, states without their evidence and the reverse,
// references to nothing, digests that do not belong to their bytes, and the
// engine's own complaints. Its error means that it could not look at all.
//
// What it cannot see is a submission removed together with all that belongs to
// it: the transparency log is for that.
func (db *DB) Check(ctx context.Context, report func(problem string)) error {
	steps, err := loadMigrations(db.d)
	if err != nil {
		return fmt.Errorf("check database: %w", err)
	}
	t, err := db.reads.BeginTx(ctx, db.d.snapshot)
	if err != nil {
		return fmt.Errorf("check database: %w", err)
	}
	defer t.Rollback()
	c := &checker{session: session{ctx, t, db.d}, report: report}
	for _, m := range steps {
		for _, g := range m.guards {
			c.guards = append(c.guards, g.Name)
		}
	}
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"engine", c.engine},
		{"guards", c.guardsStand},
		{"references", c.references},
		{"certificates", c.certificates},
		{"evidence", c.evidence},
		{"evidence of submissions", c.attestedOnce},
		{"submissions", c.submissions},
		{"documents", c.digestColumns},
		{"signed octets", c.signedOctets},
		{"consignments", c.states},
		{"protocols", c.protocols},
		{"mailboxes", c.mailboxes},
		{"jobs", c.jobSubjects},
	} {
		if err := step.run(); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("check database: %w", ctx.Err())
			}
			c.problem("%s: cannot be read: %v", step.name, err)
		}
	}
	return nil
}

func (c *checker) problem(format string, args ...any) { c.report(fmt.Sprintf(format, args...)) }

// engine asks the engine itself.
func (c *checker) engine() error {
	for _, query := range c.d.audit {
		err := c.each(func(scan func(...any) error) error {
			var line string
			if err := scan(&line); err != nil {
				return err
			}
			if line != "ok" {
				c.problem("engine: %s", line)
			}
			return nil
		}, query)
		if err != nil {
			return err
		}
	}
	return nil
}

// guardsStand looks for the triggers that keep rows insert-only.
func (c *checker) guardsStand() error {
	have, err := list(&c.session, func(s *string) []any { return []any{s} }, c.d.guards)
	for _, name := range c.guards {
		if err == nil && !slices.Contains(have, name) {
			c.problem("guards: trigger %s is gone", name)
		}
	}
	return err
}

// reference is a column that names a row of another table.
type reference struct{ table, column, parent, key string }

// schemaReferences repeats the schema's foreign keys, which an operator can
// switch off.
var schemaReferences = [...]reference{
	{"addresses", "account", "users", "id"},
	{"user_certificates", "account", "users", "id"},
	{"user_certificates", "sha256", "certificates", "sha256"},
	{"submissions", "account", "users", "id"},
	{"retry_keys", "submission", "submissions", "id"},
	{"documents", "submission", "submissions", "id"},
	{"signed_octets", "account", "users", "id"},
	{"signed_octets", "submission", "submissions", "id"},
	{"signatures", "submission", "submissions", "id"},
	{"signatures", "certificate", "certificates", "sha256"},
	{"submission_revocation", "submission", "submissions", "id"},
	{"submission_revocation", "sha256", "revocation_objects", "sha256"},
	{"consignments", "submission", "submissions", "id"},
	{"consignments", "received_by", "users", "id"},
	{"refusals", "account", "users", "id"},
	{"machine_fetches", "consignment", "consignments", "id"},
	{"protocols", "account", "users", "id"},
	{"protocols", "consignment", "consignments", "id"},
	{"protocols", "signed_with", "certificates", "sha256"},
	{"evidence_record", "id", "evidence", "id"},
	{"mail_accounts", "account", "users", "id"},
	{"mailboxes", "account", "mail_accounts", "account"},
	{"mails", "account", "users", "id"},
	{"messages", "mailbox", "mailboxes", "id"},
	{"messages", "mail", "mails", "id"},
	{"tombstones", "mailbox", "mailboxes", "id"},
}

func (c *checker) references() error {
	for _, r := range schemaReferences {
		var n int
		err := c.get([]any{&n}, fmt.Sprintf(`SELECT COUNT(*) FROM %s a LEFT JOIN %s b ON b.%s = a.%s WHERE a.%s IS NOT NULL AND b.%s IS NULL`,
			r.table, r.parent, r.key, r.column, r.column, r.key))
		if err != nil {
			return err
		}
		if n > 0 {
			c.problem("references: %d rows of %s name absent %s", n, r.table, r.parent)
		}
	}
	return nil
}

// certificates compares bytes kept under their digest with it.
func (c *checker) certificates() error {
	for _, table := range []string{"certificates", "anchors", "intermediates", "crls", "revocation_objects"} {
		err := c.each(func(scan func(...any) error) error {
			var digest rem.Digest
			var der []byte
			if err := scan(octets{&digest}, &der); err != nil {
				return err
			}
			if rem.DigestOf(der) != digest {
				c.problem("%s: %s is not the digest of its bytes", table, digest)
			}
			return nil
		}, "SELECT sha256, der FROM "+table)
		if err != nil {
			return err
		}
	}
	return nil
}

// jobSubjects looks for jobs about something that is not there. A subject that
// is no id (an address, a node) is the job's own matter.
func (c *checker) jobSubjects() error {
	text := "SELECT id, kind, subject FROM jobs j WHERE LENGTH(subject) = 26"
	for _, table := range []string{"submissions", "consignments", "refusals", "users", "protocols", "evidence"} {
		text += fmt.Sprintf(" AND NOT EXISTS (SELECT 1 FROM %s x WHERE x.id = j.subject)", table)
	}
	return c.each(func(scan func(...any) error) error {
		var id, kind, subject string
		if err := scan(&id, &kind, &subject); err != nil {
			return err
		}
		if looksLikeID(subject) {
			c.problem("jobs: %s job %s is about %s, which is absent", kind, id, subject)
		}
		return nil
	}, text)
}

func looksLikeID(s string) bool {
	return !slices.ContainsFunc([]byte(s), func(b byte) bool { return (b < 'a' || b > 'z') && (b < '2' || b > '7') })
}
