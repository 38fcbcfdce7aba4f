package cms

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	errNotDER        = errors.New("not DER")
	errNotAttributes = errors.New("not a set of attributes")
)

// checkDER demands of each element in b what X.690 §10 and §11 demand whatever the type is: shortest definite lengths,
// undivided strings, shortest integers, proper booleans, nulls and unused bits. The order of a SET OF is left to
// derOrder, since a SET looks the same.
func checkDER(b []byte, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("%w: nested deeper than %d", ErrTooLarge, MaxDepth)
	}
	for in := cryptobyte.String(b); !in.Empty(); {
		var (
			element cryptobyte.String
			tag     casn1.Tag
		)
		// cryptobyte refuses indefinite and long-form lengths, and tag numbers from 31 on.
		if !in.ReadAnyASN1(&element, &tag) {
			return errNotDER
		}
		if tag&tagConstructed != 0 {
			if tag < 0x40 && tag != casn1.SEQUENCE && tag != casn1.SET {
				return fmt.Errorf("%w: divided string", errNotDER)
			}
			if err := checkDER(element, depth+1); err != nil {
				return err
			}
		} else if !primitiveDER(tag, element) {
			return fmt.Errorf("%w: primitive element %#02x", errNotDER, uint8(tag))
		}
	}
	return nil
}

// primitiveDER judges the contents of one primitive element of a universal type.
func primitiveDER(tag casn1.Tag, b []byte) bool {
	switch tag {
	case casn1.BOOLEAN:
		return len(b) == 1 && (b[0] == 0 || b[0] == 0xff)
	case casn1.INTEGER, casn1.ENUM:
		return len(b) == 1 || len(b) > 1 && !(b[0] == 0 && b[1] < 0x80) && !(b[0] == 0xff && b[1] >= 0x80)
	case casn1.BIT_STRING:
		return len(b) == 1 && b[0] == 0 || len(b) > 1 && b[0] < 8 && b[len(b)-1]&(1<<b[0]-1) == 0
	case casn1.NULL:
		return len(b) == 0
	case casn1.OBJECT_IDENTIFIER:
		return len(b) > 0 && b[len(b)-1] < 0x80
	case 0, casn1.SEQUENCE &^ tagConstructed, casn1.SET &^ tagConstructed:
		return false
	}
	return true
}

// derOrder returns a DER SET OF with its members in ascending order (X.690 §11.6).
func derOrder(set []byte) ([]byte, bool) {
	in, members := cryptobyte.String(set), [][]byte{}
	if !in.ReadASN1(&in, casn1.SET) {
		return nil, false
	}
	for !in.Empty() {
		var member cryptobyte.String
		if !in.ReadAnyASN1Element(&member, new(casn1.Tag)) {
			return nil, false
		}
		members = append(members, member)
	}
	slices.SortFunc(members, bytes.Compare)
	return encode(tagSet, members...), true
}

// encode returns one element with the shortest definite length (X.690 §10.1).
func encode(id byte, contents ...[]byte) []byte {
	size := 0
	for _, c := range contents {
		size += len(c)
	}
	out := append(make([]byte, 0, size+6), id)
	if size < 0x80 {
		out = append(out, byte(size))
	} else {
		n := (bits.Len(uint(size)) + 7) / 8
		out = append(out, 0x80|byte(n))
		for i := n - 1; i >= 0; i-- {
			out = append(out, byte(size>>(8*i)))
		}
	}
	for _, c := range contents {
		out = append(out, c...)
	}
	return out
}
