package judge

import (
	"bytes"
	"slices"

	"cryptogramm.ru/cryptogramm/signer"
	"cryptogramm.ru/cryptogramm/store/rem"
)

// use notes what a validation rests on from outside, each thing once.
func (j *judgement) use(v signer.Validation) {
	for _, l := range v.CRLs {
		j.restsOn(rem.Material{Kind: rem.MaterialCRL, Source: l.Source, DER: l.Raw, Expires: l.NextUpdate})
	}
	for _, r := range v.OCSPs {
		j.restsOn(rem.Material{Kind: rem.MaterialOCSP, Source: r.Source, DER: r.Raw, Expires: r.Expires()})
	}
	for _, c := range v.Fetched {
		j.restsOn(rem.Material{Kind: rem.MaterialCertificate, DER: c.Raw})
	}
}

func (j *judgement) restsOn(m rem.Material) {
	same := func(o rem.Material) bool { return bytes.Equal(o.DER, m.DER) }
	if !slices.ContainsFunc(j.finding.Used, same) {
		j.finding.Used = append(j.finding.Used, m)
	}
}
