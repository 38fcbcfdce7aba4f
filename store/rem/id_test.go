package rem

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNewIDSortsByTime: later ids sort after earlier ones whatever their random
// part, so that an index of them grows at its end.
func TestNewIDSortsByTime(t *testing.T) {
	low, high := [11]byte{}, [11]byte(slices.Repeat([]byte{0xff}, 11))
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	last := NewID(at, low)
	for i := range 3000 { // 256ths of a second, then longer and longer
		if i >= 1000 {
			at = at.Add(time.Duration(i) * time.Second)
		}
		at = at.Add(3906250 * time.Nanosecond)
		id := NewID(at, [][11]byte{high, low}[i%2])
		if len(id) != idLength || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") != "" {
			t.Fatalf("id %q", id)
		}
		if id <= last {
			t.Fatalf("%s of %s does not sort after %s", id, at, last)
		}
		last = id
	}
	if NewID(at, low) == NewID(at, high) || NewID(at, low)[:idPrefix] != NewID(at, high)[:idPrefix] {
		t.Error("ids of one moment share their time and nothing else")
	}
}

// TestDerivedIDs: stable, different for every subject and word, beside their
// subject.
func TestDerivedIDs(t *testing.T) {
	subject := NewID(time.Unix(1772000000, 0), [11]byte{1})
	other := NewID(time.Unix(1772000000, 0), [11]byte{2})
	seen := map[string]bool{}
	for _, s := range []string{subject, other, "tx", "t", ""} {
		for _, words := range [][]string{{}, {""}, {"a", "b"}, {"ab"}, {"ab", ""}, {"xa", "b"}} {
			id := deriveID(s, words...)
			if id != deriveID(s, words...) || seen[id] || len(id) != idLength {
				t.Errorf("%q %q: %s", s, words, id)
			}
			seen[id] = true
			if len(s) == idLength && id[:idPrefix] != s[:idPrefix] {
				t.Errorf("%s does not lie beside %s", id, s)
			}
		}
	}
}

// TestCompareUTF16 holds the order of member names against its definition.
func TestCompareUTF16(t *testing.T) {
	names := []string{"", "a", "aa", "b", "é", "я", "яa", "\ue000", "\uffff", "\U00010000", "\U0010ffff", "a\U00010000", "a\uffff", "\u20ac", "\r", "1", "\ufb33", "\U0001f600"}
	units := func(s string) (out []int) {
		for _, r := range s {
			if r >= 0x10000 {
				out = append(out, 0xd800+int(r-0x10000)>>10, 0xdc00+int(r-0x10000)&0x3ff)
				continue
			}
			out = append(out, int(r))
		}
		return out
	}
	for _, a := range names {
		for _, b := range names {
			if have, want := compareUTF16(a, b), slices.Compare(units(a), units(b)); have != want {
				t.Errorf("%q %q: %d, want %d", a, b, have, want)
			}
		}
	}
}
