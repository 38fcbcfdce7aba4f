package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Bounds of a password.
const (
	minPassword = 10   // characters
	maxPassword = 1000 // octets
)

// CheckPassword says whether a password may be set: at least 10 characters, at
// most 1000 octets, text. ErrPassword.
func CheckPassword(p string) error {
	if len(p) > maxPassword || utf8.RuneCountInString(p) < minPassword ||
		!utf8.ValidString(p) || strings.ContainsRune(p, 0) {
		return ErrPassword
	}
	return nil
}

// cost is what one Argon2id hash takes.
type cost struct {
	time   uint32 // passes
	memory uint32 // KiB
	lanes  uint8
}

// recommended is the second recommended option of RFC 9106 §4: t=3, p=4,
// m=64 MiB.
func recommended() cost { return cost{time: 3, memory: 64 << 10, lanes: 4} }

const (
	saltLen = 16 // octets, RFC 9106 §3.1
	keyLen  = 32
)

// errHash means that a stored hash cannot be read: damage, never a wrong
// password.
var errHash = errors.New("stored password hash is not an Argon2id string of ours")

// b64 is the encoding of PHC strings: standard alphabet, no padding, and one
// text for one value.
func b64() *base64.Encoding { return base64.RawStdEncoding.Strict() }

// encode hashes password into a PHC string with a fresh salt.
func (k cost) encode(password string) string {
	salt := make([]byte, saltLen)
	rand.Read(salt)
	return k.phc(salt, argon2.IDKey([]byte(password), salt, k.time, k.memory, k.lanes, keyLen))
}

func (k cost) phc(salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, k.memory, k.time, k.lanes,
		b64().EncodeToString(salt), b64().EncodeToString(key))
}

// decoy is a PHC string whose key was never a hash's output: comparing with
// it costs what a real one costs, and nothing matches.
func (k cost) decoy() string {
	b := make([]byte, saltLen+keyLen)
	rand.Read(b)
	return k.phc(b[:saltLen], b[saltLen:])
}

// verify compares in constant time. The string's own parameters count, within
// bounds, so that hashes outlive a change of the recommended cost.
func verify(phc, password string) (bool, error) {
	k, salt, want, err := parsePHC(phc)
	if err != nil {
		return false, err
	}
	got := argon2.IDKey([]byte(password), salt, k.time, k.memory, k.lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

func parsePHC(s string) (k cost, salt, key []byte, err error) {
	f := strings.Split(s, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" {
		return k, nil, nil, errHash
	}
	var version int
	if _, err := fmt.Sscanf(f[2], "v=%d", &version); err != nil || version != argon2.Version {
		return k, nil, nil, errHash
	}
	if _, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &k.memory, &k.time, &k.lanes); err != nil {
		return k, nil, nil, errHash
	}
	if k.memory < 8 || k.memory > 1<<20 || k.time < 1 || k.time > 64 || k.lanes < 1 || k.lanes > 64 {
		return k, nil, nil, errHash
	}
	salt, err1 := b64().DecodeString(f[4])
	key, err2 := b64().DecodeString(f[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64 {
		return k, nil, nil, errHash
	}
	if k.phc(salt, key) != s { // one value, one text
		return k, nil, nil, errHash
	}
	return k, salt, key, nil
}

// hash checks and hashes a new password in a hashing slot. ErrPassword, ErrBusy.
func (a *Accounts) hash(ctx context.Context, password string) (string, error) {
	if err := CheckPassword(password); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, hashWait, ErrBusy)
	defer cancel()
	release, err := a.slot(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	return a.cost.encode(password), nil
}
