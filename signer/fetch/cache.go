package fetch

import (
	"container/list"
	"time"
)

// maxKept is how many answers are kept, whatever their size.
const maxKept = 10_000

// entry is one answer. It counts until expires; from stale on a newer one is
// asked for first.
type entry struct {
	key            string
	value          any
	size           int64
	stale, expires time.Time
}

// cache keeps what was used last within its bounds. It is guarded by Client.mu.
type cache struct {
	room    int64
	most    int
	byKey   map[string]*list.Element
	recency *list.List // of *entry, the one used last in front
}

func newCache(room int64, most int) *cache {
	return &cache{room: room, most: most, byKey: map[string]*list.Element{}, recency: list.New()}
}

func (k *cache) remove(e *list.Element) {
	gone := k.recency.Remove(e).(*entry)
	delete(k.byKey, gone.key)
	k.room += gone.size
}

// lookup finds an entry that still counts.
func (c *Client) lookup(k *cache, key string) (*entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := k.byKey[key]
	if !ok {
		return nil, false
	}
	found := e.Value.(*entry)
	if c.Now().After(found.expires) {
		k.remove(e)
		return nil, false
	}
	k.recency.MoveToFront(e)
	return found, true
}

// keep adds an entry in the place of one with its key, and drops what has not
// been used for longest to make room. What is larger than all room is not kept.
func (c *Client) keep(k *cache, e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := k.byKey[e.key]; ok {
		k.remove(old)
	}
	k.byKey[e.key] = k.recency.PushFront(&e)
	for k.room -= e.size; k.room < 0 || len(k.byKey) > k.most; {
		k.remove(k.recency.Back())
	}
}
