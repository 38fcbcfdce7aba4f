package judge

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"cryptogramm.ru/cryptogramm/signer/cms"
)

// errArmour is text that looks like an armoured signature and is not one.
var errArmour = errors.New("broken PEM or base64")

// dearmour gives the octets of a signature file that may be DER or BER, PEM
// (RFC 7468) or bare base64. BER of a SEQUENCE starts with the octet 0x30,
// its base64 with the letter M, so one look decides. After the end of the PEM
// block only white space may follow: what stands there would be judged by
// nobody. Anything else passes through unchanged.
func dearmour(r io.Reader) io.Reader {
	in := bufio.NewReader(r)
	head, _ := in.Peek(512) // a read error comes again with the first Read
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte{0x30}):
	case bytes.HasPrefix(text, []byte("-----BEGIN PGP")):
	case bytes.HasPrefix(text, []byte("-----BEGIN ")):
		in.Discard(len(head) - len(text))
		return base64.NewDecoder(base64.StdEncoding, &armour{in: in, pem: true, label: true})
	case bytes.HasPrefix(text, []byte("M")):
		in.Discard(len(head) - len(text))
		return base64.NewDecoder(base64.StdEncoding, &armour{in: in})
	}
	return in
}

// armour passes the base64 letters of a text and swallows its white space.
type armour struct {
	in    *bufio.Reader
	pem   bool
	label bool // the BEGIN line is still to be skipped
	err   error
}

func (a *armour) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && a.err == nil {
		var c byte
		if c, a.err = a.in.ReadByte(); a.err != nil {
			break
		}
		switch {
		case a.label:
			a.label = c != '\n'
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
		case isBase64(c):
			p[n] = c
			n++
		case c == '-' && a.pem:
			a.err = a.footer()
		default:
			a.err = fmt.Errorf("%w: octet %#02x", errArmour, c)
		}
	}
	if n > 0 {
		return n, nil
	}
	if a.err == io.EOF && a.pem {
		return 0, fmt.Errorf("%w: no END line", errArmour)
	}
	if a.err == errEnd {
		return 0, io.EOF
	}
	return 0, a.err
}

// errEnd marks a PEM block that was read to its end.
var errEnd = errors.New("end of PEM")

// footer reads the END line and demands that nothing follows it.
func (a *armour) footer() error {
	rest, err := io.ReadAll(io.LimitReader(a.in, 512))
	if err != nil {
		return err
	}
	line, after, _ := bytes.Cut(rest, []byte("\n"))
	line = bytes.TrimRight(line, " \t\r")
	if !bytes.HasPrefix(line, []byte("----END ")) || !bytes.HasSuffix(line, []byte("-----")) || len(bytes.TrimSpace(after)) > 0 || len(rest) == 512 {
		return fmt.Errorf("%w: END line", errArmour)
	}
	return errEnd
}

func isBase64(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '='
}

// armoured is the source of a signature's encoded octets.
func armoured(open Source) Source {
	return func() (io.ReadCloser, error) {
		in, err := open()
		if err != nil {
			return nil, err
		}
		return readCloser{dearmour(in), in}, nil
	}
}

// contentOf is the source of the content inside an enveloping signature.
func contentOf(open Source) Source {
	return func() (io.ReadCloser, error) {
		in, err := open()
		if err != nil {
			return nil, err
		}
		content, err := unwrap(in)
		if err != nil {
			in.Close()
			return nil, err
		}
		return readCloser{content, in}, nil
	}
}

// unwrap reads the content of the CMS that r is, armoured or not.
func unwrap(r io.Reader) (io.Reader, error) {
	content, err := cms.Content(dearmour(r))
	if err == nil && content == nil {
		err = fmt.Errorf("%w: no content inside", cms.ErrMalformed)
	}
	return content, err
}

type readCloser struct {
	io.Reader
	io.Closer
}
