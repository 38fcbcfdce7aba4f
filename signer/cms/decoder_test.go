package cms

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestHeader(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		id       byte
		length   int64
		ber      bool
		err      error
	}{
		{"short", "0403aabbcc", 0x04, 3, false, nil},
		{"long", "048180" + strings.Repeat("00", 128), 0x04, 128, false, nil},
		{"long where short would do", "048101aa", 0x04, 1, true, nil},
		{"leading zero in length", "04820081" + strings.Repeat("00", 129), 0x04, 129, true, nil},
		{"eight octets of length", "04880000000000000001aa", 0x04, 1, true, nil},
		{"indefinite", "30800000", 0x30, indefinite, true, nil},
		{"tag of several octets", "bf810103aabbcc", 0xbf, 3, false, nil},
		{"nine octets of length", "0489000000000000000001aa", 0, 0, false, ErrMalformed},
		{"reserved length", "04ff", 0, 0, false, ErrMalformed},
		{"length beyond int64", "0488ffffffffffffffff", 0, 0, false, ErrMalformed},
		{"indefinite primitive", "0480aa0000", 0, 0, false, ErrMalformed},
		{"endless tag", "1f8181818181818101", 0, 0, false, ErrMalformed},
		{"end-of-contents", "0000", 0, 0, false, ErrMalformed},
		{"nothing", "", 0, 0, false, ErrMalformed},
		{"no length", "04", 0, 0, false, ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDecoder(bytes.NewReader(unhex(t, tc.in)))
			h := d.header()
			if !errors.Is(d.err, tc.err) || (d.err == nil) != (tc.err == nil) {
				t.Fatalf("error %v, want %v", d.err, tc.err)
			}
			if tc.err == nil && (h.id != tc.id || h.length != tc.length || d.ber != tc.ber) {
				t.Errorf("got %#x %d ber=%v", h.id, h.length, d.ber)
			}
		})
	}
}

func TestRawKeepsOctets(t *testing.T) {
	for _, in := range []string{
		"0500", "3003020101", "30800201010000", "3080308030800000000002010100 00", "24800403616263040000 00",
		"30820003020101", "048400010001" + strings.Repeat("00", 65537),
	} {
		b := unhex(t, strings.ReplaceAll(in, " ", ""))
		d := newDecoder(bytes.NewReader(b))
		if got := d.raw(); d.finish() != nil || !bytes.Equal(got, b) {
			t.Errorf("raw of %.20s: %x, %v", in, got, d.err)
		}
		s := newDecoder(bytes.NewReader(b))
		if s.skip(); s.finish() != nil {
			t.Errorf("skip of %.20s: %v", in, s.err)
		}
	}
}

func TestRawRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		in  []byte
		err error
	}{
		"truncated":              {unhex(t, "0405aabb"), ErrMalformed},
		"open at the end":        {unhex(t, "3080020101"), ErrMalformed},
		"half end-of-contents":   {unhex(t, "308002010100"), ErrMalformed},
		"end-of-contents length": {unhex(t, "30800201010001"), ErrMalformed},
		"too deep":               {bytes.Repeat([]byte{0x30, 0x80}, MaxDepth+1), ErrTooLarge},
		"claims a terabyte":      {unhex(t, "0486010000000000"), ErrTooLarge},
		"claims ten mebibytes":   {unhex(t, "048400900000aa"), ErrMalformed},
	} {
		d := newDecoder(bytes.NewReader(tc.in))
		if d.raw(); !errors.Is(d.err, tc.err) {
			t.Errorf("%s: %v, want %v", name, d.err, tc.err)
		}
	}
	d := newDecoder(bytes.NewReader(bytes.Repeat([]byte{0x30, 0x80}, MaxDepth)))
	if d.raw(); !errors.Is(d.err, ErrMalformed) {
		t.Errorf("the deepest allowed nesting: %v", d.err)
	}
}

func TestFrames(t *testing.T) {
	walk := func(in string) error {
		d := newDecoder(bytes.NewReader(unhex(t, in)))
		d.enter(tagSequence)
		d.enter(tagSequence)
		d.raw()
		d.leave()
		d.leave()
		return d.finish()
	}
	for in, good := range map[string]bool{
		"30053003020101":              true,
		"3080308002010100000000":      true,
		"30073080020101 0000":         true,  // indefinite in definite
		"30063080020101 0000":         false, // its end lies outside
		"300430030201":                false, // child longer than parent
		"3004300302010100":            false,
		"300530030201010500":          false, // trailing
		"30073003020101 0500":         false, // unread member
		"300530020201010500":          false,
		"30803003020101 0500 0000":    false,
		"3080300302010100":            false,
		"31053003020101":              false, // SET where SEQUENCE is due
		"3080300302010100 00 0000":    false,
		"30053003020101" + "00000000": false,
	} {
		if err := walk(strings.ReplaceAll(in, " ", "")); (err == nil) != good {
			t.Errorf("%s: %v", in, err)
		} else if !good && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v is not ErrMalformed", in, err)
		}
	}
}

// A child that claims more than its parent has is refused at its header, not after it was read.
func TestChildBeyondParentIsNotRead(t *testing.T) {
	d := newDecoder(io.MultiReader(bytes.NewReader(unhex(t, "300a"+"0484007fffff")), bytes.NewReader(make([]byte, 8<<20))))
	d.enter(tagSequence)
	if d.raw(); !errors.Is(d.err, ErrMalformed) || d.off != 8 {
		t.Errorf("%d octets read: %v", d.off, d.err)
	}
}

func TestReaderErrorsStayErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, n := range []int{0, 1, 2, 5, 12, 40} {
		in := io.MultiReader(io.LimitReader(bytes.NewReader(sample(t)), int64(n)), iotest.ErrReader(broken))
		if _, err := Parse(in); !errors.Is(err, broken) || errors.Is(err, ErrMalformed) {
			t.Errorf("after %d octets: %v", n, err)
		}
		in = io.MultiReader(io.LimitReader(bytes.NewReader(sample(t)), int64(n)), iotest.ErrReader(broken))
		if _, err := ContentTypeOf(in); n < 5 && !errors.Is(err, broken) {
			t.Errorf("content type after %d octets: %v", n, err)
		}
	}
}

func TestOctetString(t *testing.T) {
	for in, want := range map[string]string{
		"0403616263":           "abc",
		"0400":                 "",
		"2400":                 "",
		"24800000":             "",
		"240504016104 00":      "a",
		"24800401610401620000": "ab",
		"2480240804016104016204000403636465 0000": "abcde",
		"24802480040161000004016200 00":           "ab",
		"3003020101":                              "!",
		"24050201610400":                          "!", // another type inside
		"24800401610401":                          "!",
		"2403040261 62":                           "!", // piece longer than the string
		"0405616263":                              "!",
	} {
		d := newDecoder(bytes.NewReader(unhex(t, strings.ReplaceAll(in, " ", ""))))
		got, err := io.ReadAll(iotest.OneByteReader(d.octetReader(tagOctetString)))
		if want == "!" {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %q, %v", in, got, err)
			}
			continue
		}
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", in, got, err, want)
		}
		if err := d.finish(); err != nil {
			t.Errorf("%s: %v", in, err)
		}
	}
	deep := append(bytes.Repeat([]byte{0x24, 0x80}, MaxDepth+1), 4, 0)
	d := newDecoder(bytes.NewReader(deep))
	if _, err := io.ReadAll(d.octetReader(tagOctetString)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("deep octet string: %v", err)
	}
}

func TestCheckDER(t *testing.T) {
	for in, good := range map[string]bool{
		"":                      true,
		"3003020101":            true,
		"310430020500":          true,
		"0101ff":                true,
		"010101":                false,
		"02020001":              false,
		"02020080":              true,
		"0202ff80":              false,
		"0200":                  false,
		"0500":                  true,
		"050100":                false,
		"03020780":              true,
		"03020781":              false, // an unused bit is set
		"030107":                false,
		"030100":                true,
		"0300":                  false,
		"24030401aa":            false, // divided string
		"2c030c0161":            false,
		"30800000":              false,
		"3081020500":            false,
		"3003020101ff":          false,
		"100105":                false, // primitive SEQUENCE
		"0000":                  false,
		"0601ff":                false,
		"0600":                  false,
		"a003020101":            true,
		"8001ff":                true,
		"300530030201":          false,
		strings.Repeat("30", 1): false,
	} {
		if err := checkDER(unhex(t, in), 0); (err == nil) != good {
			t.Errorf("%s: %v", in, err)
		}
	}
	deep := []byte{5, 0}
	for range MaxDepth + 1 {
		deep = encode(tagSequence, deep)
	}
	if err := checkDER(deep, 0); !errors.Is(err, ErrTooLarge) {
		t.Errorf("deep: %v", err)
	}
}

func TestEncodeLengths(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 255, 256, 65535, 65536, 1 << 24} {
		b := encode(tagOctetString, make([]byte, n))
		d := newDecoder(bytes.NewReader(b))
		d.limit = 1 << 30
		if h := d.header(); d.err != nil || h.length != int64(n) || d.ber || h.size+n != len(b) {
			t.Errorf("%d: %v, length %d, ber %v", n, d.err, h.length, d.ber)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
