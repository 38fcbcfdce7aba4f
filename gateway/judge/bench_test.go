package judge

import (
	"context"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/signer/cms/cmstest"
)

// BenchmarkJudge judges letters of 20 KB, the size of the load test, and of 8 MiB.
func BenchmarkJudge(b *testing.B) {
	k := use(b, cmstest.RSA2048)
	for name, size := range map[string]int{"20KB": 14 << 10, "8MiB": 6 << 20} {
		entity := mixed(text("I agree."), file("contract.pdf", strings.Repeat("x", size)))
		for form, raw := range map[string]string{"signed": letter(k.signed(entity, k.anna)), "opaque": letter(k.opaque(entity, k.anna))} {
			b.Run(form+"/"+name, func(b *testing.B) {
				l, q := parse(b, raw), k.request()
				b.SetBytes(int64(len(raw)))
				b.ReportAllocs()
				for b.Loop() {
					if f := Judge(context.Background(), l, q); f.Reason != "" {
						b.Fatal(f.Detail)
					}
				}
			})
		}
	}
}
