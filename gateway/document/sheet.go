package document

// sheet is a paper before it is HTML or text: titled sections of labelled
// values. Both writers show every value through display, once; Outside marks
// the strings of letters, certificates and people, whose direction of writing
// is kept apart from ours.
type sheet struct {
	Words    *words
	Title    string
	Subtitle string
	Mark     string // shown across every page and around the whole; "" for none
	MarkText string
	Result   result
	Sections []section
}

// tone is how a result looks. It never stands alone: a word goes with it.
type tone string

const (
	good  tone = "good"
	bad   tone = "bad"
	warn  tone = "warn"
	plain tone = "plain"
)

// result is the answer in one box.
type result struct {
	Tone tone
	Head string
	Text []string
	Code string // the words of EN 319 102-1, as they are recorded
}

type section struct {
	Title string
	Intro []string
	Rows  []row
	List  []string // outside text
	Cards []card
	Code  string // a command line, shown as it is typed
}

type card struct {
	Title   string // outside text
	Number  string
	Tone    tone
	Badge   string
	Lead    string // a sentence under the title
	Rows    []row
	Events  []event
	Checks  []check
	Caption string // above Checks
}

// event is one line of a timeline.
type event struct {
	Time, Title string
	Tone        tone
	Rows        []row
}

type row struct {
	Label   string
	Value   string
	Outside bool // outside text
	Mono    bool // digests, ids: broken anywhere, fixed pitch
	Note    string
}

type check struct {
	Label  string
	Name   string
	Tone   tone
	Status string
	Detail string // outside text, English
}

// rows drops what has no value: papers do not show empty lines.
func rows(list ...row) []row {
	out := list[:0:0]
	for _, r := range list {
		if r.Value != "" {
			out = append(out, r)
		}
	}
	return out
}
