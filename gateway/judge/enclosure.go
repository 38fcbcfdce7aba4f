package judge

import "bytes"

// enclosure finds a file that is written into a text, which many mail programs
// show as an attachment: it takes the text and looks for the first line of
// uuencode ("begin 644 name", IEEE 1003.1) or of yEnc.
type enclosure struct {
	line  []byte // its beginning, without leading blanks
	found bool
}

// maxOpening is as much of a line as tells what it is.
const maxOpening = 32

func (e *enclosure) Write(p []byte) (int, error) {
	for rest := p; !e.found && len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		piece := rest
		if end >= 0 {
			piece = rest[:end]
		}
		if len(e.line) == 0 {
			piece = bytes.TrimLeft(piece, " \t")
		}
		e.line = append(e.line, piece[:min(len(piece), maxOpening-len(e.line))]...)
		e.found = opensFile(e.line)
		if end < 0 {
			break
		}
		e.line, rest = e.line[:0], rest[end+1:]
	}
	return len(p), nil
}

// opensFile says whether a line begins a file and gives it a name.
func opensFile(line []byte) bool {
	if bytes.HasPrefix(line, []byte("=ybegin ")) {
		return true
	}
	mode, ok := bytes.CutPrefix(line, []byte("begin-base64 "))
	if !ok {
		mode, ok = bytes.CutPrefix(line, []byte("begin "))
	}
	digits, name, named := bytes.Cut(mode, []byte(" "))
	return ok && named && len(digits) >= 3 && len(digits) <= 4 &&
		len(bytes.Trim(digits, "01234567")) == 0 && len(bytes.TrimSpace(name)) > 0
}
