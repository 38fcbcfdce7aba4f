package imapd

import (
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"cryptogramm.ru/cryptogramm/store"
)

// Bounds of one SEARCH.
const (
	maxNeedles  = 32  // strings looked for in bodies
	maxCriteria = 250 // in all: each is asked of every message
	maxDepth    = 100
)

// query is a search made ready: what has to be read for it, and what is looked
// for in bodies.
type query struct {
	view    *view
	want    store.Want
	rows    bool // flags, dates or sizes matter
	needles []needle
	asked   int // criteria
}

// needle is a folded string that is looked for in bodies and, for TEXT, in
// headers too.
type needle struct {
	text    string
	headers bool
}

// node is a conjunction of tests, the cheap before the dear.
type node struct {
	sets  [][]store.UIDRange
	tests []func(*candidate) bool
	not   []*node
	or    [][2]*node
	dear  []func(*candidate) bool
}

func (n *node) match(c *candidate) bool {
	for _, set := range n.sets {
		if !inRanges(set, c.m.UID) {
			return false
		}
	}
	for _, test := range n.tests {
		if !test(c) || c.err != nil {
			return false
		}
	}
	for _, or := range n.or {
		if !or[0].match(c) && (c.err != nil || !or[1].match(c)) {
			return false
		}
	}
	for _, not := range n.not {
		if not.match(c) || c.err != nil {
			return false
		}
	}
	for _, test := range n.dear {
		if !test(c) || c.err != nil {
			return false
		}
	}
	return true
}

func inRanges(ranges []store.UIDRange, uid uint32) bool {
	_, ok := slices.BinarySearchFunc(ranges, uid, func(r store.UIDRange, uid uint32) int {
		switch {
		case r.To < uid:
			return -1
		case r.From > uid:
			return 1
		}
		return 0
	})
	return ok
}

func (q *query) compile(c *imap.SearchCriteria) (*node, error) { return q.node(c, 0) }

func (q *query) node(c *imap.SearchCriteria, depth int) (*node, error) {
	q.asked += 1 + len(c.SeqNum) + len(c.UID) + len(c.Flag) + len(c.NotFlag) + len(c.Header) + len(c.Body) + len(c.Text)
	if depth > maxDepth || q.asked > maxCriteria {
		return nil, errNeedles
	}
	n := &node{}
	for _, set := range c.SeqNum {
		n.sets = append(n.sets, q.view.resolve(set))
	}
	for _, set := range c.UID {
		n.sets = append(n.sets, q.view.resolve(set))
	}
	q.facts(n, c)
	q.texts(n, c)
	if len(q.needles) > maxNeedles {
		return nil, errNeedles
	}
	for i := range c.Not {
		child, err := q.node(&c.Not[i], depth+1)
		if err != nil {
			return nil, err
		}
		n.not = append(n.not, child)
	}
	for i := range c.Or {
		var pair [2]*node
		for k := range pair {
			child, err := q.node(&c.Or[i][k], depth+1)
			if err != nil {
				return nil, err
			}
			pair[k] = child
		}
		n.or = append(n.or, pair)
	}
	return n, nil
}

// facts are tests of a message's row.
func (q *query) facts(n *node, c *imap.SearchCriteria) {
	test := func(f func(*candidate) bool) { n.tests, q.rows = append(n.tests, f), true }
	for _, f := range c.Flag {
		test(func(c *candidate) bool { return keyword(c.m.Flags, string(f)) })
	}
	for _, f := range c.NotFlag {
		test(func(c *candidate) bool { return !keyword(c.m.Flags, string(f)) })
	}
	if c.Larger > 0 {
		test(func(x *candidate) bool { return x.m.Size > c.Larger })
	}
	if c.Smaller > 0 {
		test(func(x *candidate) bool { return x.m.Size < c.Smaller })
	}
	between(test, c.Since, c.Before, func(c *candidate) time.Time { return c.m.Internal })
	if !c.SentSince.IsZero() || !c.SentBefore.IsZero() {
		q.want |= store.WantOutline
		between(test, c.SentSince, c.SentBefore, (*candidate).sent)
	}
}

// keyword compares without case (RFC 9051 §2.3.2).
func keyword(flags []string, f string) bool {
	return slices.ContainsFunc(flags, func(h string) bool { return strings.EqualFold(h, f) })
}

func between(test func(func(*candidate) bool), since, before time.Time, of func(*candidate) time.Time) {
	if !since.IsZero() {
		test(func(c *candidate) bool { t := of(c); return !t.IsZero() && !day(t).Before(day(since)) })
	}
	if !before.IsZero() {
		test(func(c *candidate) bool { t := of(c); return !t.IsZero() && day(t).Before(day(before)) })
	}
}

// texts are tests of what the letter says.
func (q *query) texts(n *node, c *imap.SearchCriteria) {
	for _, f := range c.Header {
		q.want |= store.WantMail | store.WantHead | store.WantOutline
		value := fold(f.Value)
		n.dear = append([]func(*candidate) bool{func(c *candidate) bool {
			for _, field := range c.header() {
				if field.Is(f.Key) && strings.Contains(fold(field.Text()), value) {
					return true
				}
			}
			return false
		}}, n.dear...)
	}
	for _, s := range c.Body {
		q.needle(n, needle{fold(s), false})
	}
	for _, s := range c.Text {
		q.needle(n, needle{fold(s), true})
	}
}

func (q *query) needle(n *node, what needle) {
	q.want |= store.WantMail | store.WantHead | store.WantOutline
	if what.text == "" { // is in everything
		return
	}
	i := slices.Index(q.needles, what)
	if i < 0 {
		i = len(q.needles)
		q.needles = append(q.needles, what)
	}
	n.dear = append(n.dear, func(c *candidate) bool { return c.hit(i) })
}

// narrow is what of the view the outermost criteria leave to be read.
func (q *query) narrow(root *node, all []store.UIDRange) []store.UIDRange {
	if len(root.sets) == 0 {
		return all
	}
	return root.sets[0]
}

// inView answers criteria of numbers alone, for which nothing is read.
func (q *query) inView(root *node) []uint32 {
	var found []uint32
	for _, uid := range q.view.uids {
		if root.match(&candidate{m: &store.Message{UID: uid}, q: q}) {
			found = append(found, uid)
		}
	}
	return found
}
