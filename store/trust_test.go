package store

import (
	"errors"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/store/rem"
)

func TestTrust(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		day := p.clock.now()
		crl := func(issuer, number string, days int) CRL {
			at := day.AddDate(0, 0, days)
			return CRL{DER: []byte(issuer + number), Issuer: issuer, Number: number, ThisUpdate: at, NextUpdate: at.AddDate(0, 0, 7)}
		}
		root := []byte("root")
		last := got[int64](t)(db.TrustVersion(ctx))
		for _, c := range []struct {
			name    string
			do      func() error
			changes bool
		}{
			{"anchor", func() error { return db.AddAnchor(ctx, Anchor{DER: root, Kind: "foreign", Subject: "CN=R"}) }, true},
			{"same anchor", func() error { return db.AddAnchor(ctx, Anchor{DER: root, Kind: "foreign", Subject: "CN=R"}) }, false},
			{"its kind", func() error { return db.AddAnchor(ctx, Anchor{DER: root, Kind: "qualified", Subject: "CN=R"}) }, true},
			{"intermediate", func() error { return db.AddIntermediate(ctx, Intermediate{DER: []byte("i"), Subject: "CN=I"}) }, true},
			{"same intermediate", func() error { return db.AddIntermediate(ctx, Intermediate{DER: []byte("i"), Subject: "CN=I"}) }, false},
			{"list", func() error { return db.PutCRL(ctx, crl("CN=R", "2", 1)) }, true},
			{"older list", func() error { return db.PutCRL(ctx, crl("CN=R", "1", 0)) }, false},
			{"newer list", func() error { return db.PutCRL(ctx, crl("CN=R", "3", 2)) }, true},
			{"other issuer's list", func() error { return db.PutCRL(ctx, crl("CN=I", "1", 0)) }, true},
		} {
			must(t, c.do())
			now := got[int64](t)(db.TrustVersion(ctx))
			if (now > last) != c.changes {
				t.Errorf("%s: version %d after %d", c.name, now, last)
			}
			last = now
		}
		anchors := got[[]Anchor](t)(db.Anchors(ctx))
		if len(anchors) != 1 || anchors[0].Kind != "qualified" || anchors[0].SHA256 != rem.DigestOf(root) || !anchors[0].Added.Equal(day) {
			t.Errorf("anchors %+v", anchors)
		}
		if list := got[[]Intermediate](t)(db.Intermediates(ctx)); len(list) != 1 || list[0].Subject != "CN=I" {
			t.Errorf("intermediates %+v", list)
		}
		if list := got[[]CRL](t)(db.CRLs(ctx)); len(list) != 2 || list[1].Number != "3" || !list[1].NextUpdate.Equal(day.AddDate(0, 0, 9)) {
			t.Errorf("lists %+v", list)
		}
		if err := db.RemoveAnchor(ctx, rem.DigestOf(nil)); !errors.Is(err, ErrNotFound) {
			t.Errorf("absent anchor: %v", err)
		}
		must(t, db.RemoveAnchor(ctx, rem.DigestOf(root)))
		if now := got[int64](t)(db.TrustVersion(ctx)); now != last+1 || len(got[[]Anchor](t)(db.Anchors(ctx))) != 0 {
			t.Errorf("after removal: version %d", now)
		}
	})
}

func TestAudit(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, p *place) {
		db := p.open(t)
		for _, action := range []string{"trust add", "user add"} {
			must(t, db.Audit(ctx, "admin", action, "подробно"))
			p.clock.advance(time.Second)
		}
		rows := got[[]AuditRow](t)(db.AuditTrail(ctx, Page{}))
		if len(rows) != 2 || rows[0].Action != "user add" || rows[1].Detail != "подробно" {
			t.Errorf("trail %+v", rows)
		}
		if rest := got[[]AuditRow](t)(db.AuditTrail(ctx, Page{Before: rows[0].Time, BeforeID: rows[0].ID})); len(rest) != 1 {
			t.Errorf("second page %+v", rest)
		}
	})
}
