package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestBlobsOfMailAreNeeded(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		o := newOffice(t, p)
		drafts := o.box(t, o.alice, "Drafts")
		n := o.send(t, "bob@example.test")
		m := ownMail(drafts, `\Deleted`)
		got[Appended](t)(o.db.AddMail(ctx, m, ownQuota))
		letter := n.Accepted.Submission.Letter.Ref
		check := func(refs ...rem.Ref) {
			t.Helper()
			var have []rem.Ref
			must(t, o.db.BlobRefs(ctx, func(r rem.Ref) error { have = append(have, r); return nil }))
			slices.SortFunc(refs, func(a, b rem.Ref) int { return strings.Compare(a.SHA256.String(), b.SHA256.String()) })
			if !slices.Equal(have, refs) {
				t.Errorf("%v, want %v", have, refs)
			}
			for _, r := range []rem.Ref{letter, m.Mail.Blob} {
				if used := got[bool](t)(o.db.BlobReferenced(ctx, r)); used != slices.Contains(refs, r) {
					t.Errorf("%v: %v", r, used)
				}
			}
		}
		check(letter, m.Mail.Blob)
		got[[]uint32](t)(o.db.Expunge(ctx, drafts.ID, nil))
		check(letter)
	})
}

func TestSettings(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		if _, err := db.Setting(ctx, "key"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
		want(t, got[string](t)(db.PutSettingOnce(ctx, "key", "one")), "one")
		want(t, got[string](t)(db.PutSettingOnce(ctx, "key", "two")), "one")
		want(t, got[string](t)(db.Setting(ctx, "key")), "one")
	})
}

func TestFlagsAreCanonical(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`\seen \DELETED \recent`, `\Seen \Deleted`},
		{`work $Forwarded Work \Flagged`, `\Flagged $Forwarded work`},
		{`$notified $Received x`, "x"},
		{"", ""},
		{`\Important`, "error"}, {"a(b", "error"}, {"é", "error"}, {strings.Repeat("k", 65), "error"},
		{strings.Repeat("k", 64), strings.Repeat("k", 64)},
	} {
		have, err := CanonicalFlags(strings.Fields(c.in))
		text := joinFlags(have)
		if errors.Is(err, ErrFlag) {
			text = "error"
		}
		want(t, text, c.want)
	}
	var many []string
	for i := range 65 {
		many = append(many, fmt.Sprint("k", i))
	}
	if _, err := CanonicalFlags(many); !errors.Is(err, ErrFlag) {
		t.Error("65 keywords")
	}
	full := got[[]string](t)(CanonicalFlags(many[:64]))
	if have := changeFlags(full, FlagsAdd, []string{`\Seen`, "more", "K7"}); len(have) != 65 || have[0] != `\Seen` || slices.Contains(have, "more") {
		t.Errorf("%v", have)
	}
}
