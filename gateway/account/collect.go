package account

import (
	"runtime"
	"runtime/metrics"
)

// smallHeap is a heap whose collection costs little beside a hash.
const smallHeap = 256 << 20

// collect takes back at once what a hash has taken. The collector waits until
// the heap has doubled, and doubles what the hash had: where memory is tight
// each login would cost twice its 64 MiB beside all other work, and for long
// after. A large heap has the room, and would cost more to look through.
func collect() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if live[0].Value.Uint64() < smallHeap {
		runtime.GC()
	}
}
