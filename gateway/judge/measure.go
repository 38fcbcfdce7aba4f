package judge

import (
	"hash"
	"io"

	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// measure hashes the file once, by SHA-256 and by what signers used.
func (f *leaf) measure(j *judgement, hashes map[string]*pki.Hash) error {
	in, err := f.open()
	if err != nil {
		return err
	}
	defer in.Close()
	own := newSHA256()
	var first firstOctet
	writers := []io.Writer{own, &first}
	states := map[string]hash.Hash{}
	var inside enclosure
	if f.note {
		writers = append(writers, &inside)
	}
	for name, h := range hashes {
		states[name] = h.New()
		writers = append(writers, states[name])
	}
	if j.buffer == nil {
		j.buffer = make([]byte, copyBuffer)
	}
	if f.size, err = io.CopyBuffer(io.MultiWriter(writers...), j.reader(in), j.buffer); err != nil {
		return err
	}
	if inside.found {
		f.note, f.label = false, f.title()+" with a file inside"
	}
	own.Sum(f.sum[:0])
	f.sums = map[string][]byte{}
	for name, state := range states {
		f.sums[name] = state.Sum(nil)
	}
	if first.octet != 0x31 { // no SET
		return nil
	}
	again, err := f.open()
	if err != nil {
		return err
	}
	defer again.Close()
	f.isSet, err = cms.IsAttributes(j.reader(again))
	return err
}

// firstOctet keeps the first octet written to it.
type firstOctet struct {
	octet byte
	seen  bool
}

func (f *firstOctet) Write(p []byte) (int, error) {
	if !f.seen && len(p) > 0 {
		f.octet, f.seen = p[0], true
	}
	return len(p), nil
}

// known is what measuring has found out, so that a hundred signatures of one
// file are judged without reading it a hundred times; nil when it was not read.
func (f *leaf) known() *signer.Known {
	if f.sums == nil {
		return nil
	}
	k := &signer.Known{Size: f.size, IsAttributes: f.isSet, Digests: map[string][]byte{"SHA-256": f.sum[:]}}
	for name, sum := range f.sums {
		k.Digests[name] = sum
	}
	return k
}

// matches says whether a signer wrote down the digest of this file.
func (f *leaf) matches(claims []claim) bool {
	for _, c := range claims {
		if sum, ok := f.sums[c.hash.Name]; ok && string(sum) == string(c.value) {
			return true
		}
	}
	return false
}
