package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"

	"cryptogramm.ru/cryptogramm/gateway/message"
)

// Streams are a command's standard streams. What comes from outside is printed
// so that it cannot steer the operator's terminal.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// fail prints an error the way every command does.
func (s *Streams) fail(err error) int {
	s.complain(err)
	return exitFail
}

// usage is fail for a command line that makes no sense.
func (s *Streams) usage(err error) int {
	s.complain(err)
	return exitUsage
}

func (s *Streams) complain(err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(s.Err, "cryptogramm:", display(strings.TrimRight(line, "\n")))
	}
}

// json prints v indented.
func (s *Streams) json(v any) int {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	if err == nil {
		_, err = io.WriteString(s.Out, escapeHidden(b.String()))
	}
	if err != nil {
		return s.fail(err)
	}
	return exitOK
}

// escapeHidden writes as \uXXXX what the JSON encoder leaves raw and a terminal
// would obey: DEL, C1 controls and format characters. All stand in strings.
func escapeHidden(text string) string {
	hidden := func(r rune) bool { return r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf) }
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if !hidden(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// display makes outside text one harmless line.
func display(s string) string { return message.SafeDisplay(s) }
