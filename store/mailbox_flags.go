package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrFlag means a flag that no message may have.
var ErrFlag = errors.New("not a flag that can be kept")

// Keywords of a message.
const (
	maxKeywords = 64
	maxKeyword  = 64 // octets
)

// System flags in canonical spelling and order (RFC 9051 §2.3.2).
var systemFlags = [...]string{`\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`}

// Keywords of a Sent copy, which tell how far its recipients have come. They
// are set with the states of the consignments, never by a user.
const (
	KeywordNotified = "$Notified"
	KeywordReceived = "$Received"
	KeywordVerified = "$Verified"
	KeywordFailed   = "$Failed"
)

var stateKeywords = [...]string{KeywordNotified, KeywordReceived, KeywordVerified, KeywordFailed}

// CanonicalFlags spells system flags as RFC 9051 does, drops what is named
// twice and what only the system sets (\Recent, state keywords), and sorts:
// system flags, then keywords, which keep their spelling. ErrFlag for another
// flag with a backslash, a keyword that is no atom or longer than 64 octets, or
// more than 64 of them.
func CanonicalFlags(flags []string) ([]string, error) {
	var out []string
	for _, f := range flags {
		flag, err := canonicalFlag(f)
		if err != nil {
			return nil, err
		}
		if flag != "" && !stateKeyword(flag) {
			out = append(out, flag)
		}
	}
	out = sortFlags(out)
	if countKeywords(out) > maxKeywords {
		return nil, fmt.Errorf("%w: more than %d keywords", ErrFlag, maxKeywords)
	}
	return out, nil
}

// canonicalFlag is "" for \Recent.
func canonicalFlag(f string) (string, error) {
	if strings.HasPrefix(f, `\`) {
		for _, s := range systemFlags {
			if strings.EqualFold(s, f) {
				return s, nil
			}
		}
		if strings.EqualFold(f, `\Recent`) {
			return "", nil
		}
		return "", fmt.Errorf("%w: %q", ErrFlag, shown(f, maxKeyword))
	}
	if f == "" || len(f) > maxKeyword || strings.ContainsFunc(f, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`(){%*"\]`, r) // RFC 9051 §9, atom
	}) {
		return "", fmt.Errorf("%w: %q", ErrFlag, shown(f, maxKeyword))
	}
	for _, k := range stateKeywords {
		if strings.EqualFold(k, f) {
			return k, nil
		}
	}
	return f, nil
}

func stateKeyword(f string) bool { return slices.Contains(stateKeywords[:], f) }

func systemPlace(f string) int {
	if i := slices.Index(systemFlags[:], f); i >= 0 {
		return i
	}
	return len(systemFlags)
}

// sortFlags sorts and drops repetitions; keywords are compared without case,
// the spelling that came first stands.
func sortFlags(flags []string) []string {
	slices.SortStableFunc(flags, func(a, b string) int {
		return cmp.Or(cmp.Compare(systemPlace(a), systemPlace(b)), strings.Compare(foldKeyword(a), foldKeyword(b)))
	})
	return slices.CompactFunc(flags, strings.EqualFold)
}

// foldKeyword lowers ASCII, of which keywords are made.
func foldKeyword(f string) string { return strings.ToLower(f) }

func countKeywords(flags []string) int {
	n := 0
	for _, f := range flags {
		if systemPlace(f) == len(systemFlags) && !stateKeyword(f) {
			n++
		}
	}
	return n
}

// changeFlags applies a change, made of canonical flags, to a message's flags.
// State keywords stay as they are; keywords beyond the 64th are not added.
func changeFlags(have []string, op FlagOp, change []string) []string {
	named := func(f string) bool {
		return slices.ContainsFunc(change, func(c string) bool { return strings.EqualFold(c, f) })
	}
	var out []string
	for _, f := range have {
		if stateKeyword(f) || op == FlagsAdd || op == FlagsRemove && !named(f) {
			out = append(out, f)
		}
	}
	if op == FlagsRemove {
		return out
	}
	room := maxKeywords - countKeywords(out)
	for _, f := range change {
		if systemPlace(f) == len(systemFlags) && !slices.ContainsFunc(out, func(h string) bool { return strings.EqualFold(h, f) }) {
			if room--; room < 0 {
				continue
			}
		}
		out = append(out, f)
	}
	return sortFlags(out)
}

// withState replaces the state keywords of a message's flags.
func withState(have, state []string) []string {
	out := slices.DeleteFunc(slices.Clone(have), stateKeyword)
	return sortFlags(append(out, state...))
}

func joinFlags(flags []string) string { return strings.Join(flags, " ") }

func splitFlags(text string) []string { return strings.Fields(text) }
