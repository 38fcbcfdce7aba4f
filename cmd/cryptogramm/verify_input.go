package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"cryptogramm.ru/cryptogramm/signer/pki"
)

// stdinName asks for standard input.
const stdinName = "-"

// input is the file to verify, readable at any offset.
type input struct {
	*os.File
	size int64
	name string
}

// openInput opens a file. What cannot be read twice goes to a temporary file
// without a name first.
func openInput(path string, stdin io.Reader) (*input, error) {
	if path == stdinName {
		f, size, err := spoolTemp(stdin)
		return &input{f, size, "standard input"}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s: is a folder", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if info.Mode().IsRegular() {
		return &input{f, info.Size(), filepath.Base(path)}, nil
	}
	defer f.Close()
	spooled, size, err := spoolTemp(f)
	return &input{spooled, size, filepath.Base(path)}, err
}

func spoolTemp(r io.Reader) (*os.File, int64, error) {
	f, err := os.CreateTemp("", "cryptogramm-verify-*")
	if err != nil {
		return nil, 0, err
	}
	n, err := io.Copy(f, r)
	if err = errors.Join(err, os.Remove(f.Name())); err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, n, nil
}

// inputKind is what a file looks like.
type inputKind int

const (
	isLetter inputKind = iota
	isSignatureFile
	isCertificate
	isEvidence
)

// kind looks at the first octets and at the name. A DER SEQUENCE is a
// certificate if it reads as one, else a signature.
func (i *input) kind() (inputKind, error) {
	head := make([]byte, 4096)
	n, err := i.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	head = bytes.TrimLeft(bytes.TrimPrefix(head[:n], []byte("\ufeff")), " \t\r\n")
	if bytes.HasPrefix(head, []byte("{")) { // nothing else is JSON
		return isEvidence, nil
	}
	if label, ok := bytes.CutPrefix(head, []byte("-----BEGIN ")); ok {
		label, _, _ = bytes.Cut(label, []byte("-----"))
		if strings.HasSuffix(string(label), "CERTIFICATE") {
			return isCertificate, nil
		}
		return isSignatureFile, nil
	}
	if der := n > 1 && head[0] == 0x30 && !printable(head); der || isBase64Text(head) {
		return i.sequence()
	}
	switch strings.ToLower(filepath.Ext(i.name)) {
	case ".p7s", ".p7m", ".sig", ".sgn", ".sign":
		return isSignatureFile, nil
	}
	return isLetter, nil
}

// sequence tells a certificate from a signature.
func (i *input) sequence() (inputKind, error) {
	const largest = 128 << 10 // of a certificate, in base64
	if i.size > largest {
		return isSignatureFile, nil
	}
	b, err := i.all(largest)
	if err != nil {
		return 0, err
	}
	if _, err := pki.ParseCertificate(unbase64(b)); err == nil {
		return isCertificate, nil
	}
	return isSignatureFile, nil
}

func (i *input) all(most int64) ([]byte, error) {
	if i.size > most {
		return nil, fmt.Errorf("%s: larger than %d octets", i.name, most)
	}
	return io.ReadAll(io.NewSectionReader(i.File, 0, i.size))
}

func (i *input) source() func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(i.File, 0, i.size)), nil }
}

// canonical replaces a file that has LF line ends only by its CRLF form and
// says whether it did. Mail programs on Unix save letters so, and some put an
// mbox line before the header, which is no part of the letter (RFC 4155).
func (i *input) canonical() (bool, error) {
	lf, err := i.onlyLF()
	if err != nil || !lf {
		return false, err
	}
	in := bufio.NewReaderSize(io.NewSectionReader(i.File, 0, i.size), 64<<10)
	if start, _ := in.Peek(5); string(start) == "From " {
		if _, err := in.ReadString('\n'); err != nil {
			return false, err
		}
	}
	pipe, w := io.Pipe()
	go func() { w.CloseWithError(addCR(w, in)) }()
	f, size, err := spoolTemp(pipe)
	pipe.Close()
	if err != nil {
		return false, err
	}
	err = i.File.Close()
	i.File, i.size = f, size
	return true, err
}

func (i *input) onlyLF() (bool, error) {
	r, buf, lf := io.NewSectionReader(i.File, 0, i.size), make([]byte, 64<<10), false
	for {
		n, err := r.Read(buf)
		if bytes.IndexByte(buf[:n], '\r') >= 0 {
			return false, nil
		}
		lf = lf || bytes.IndexByte(buf[:n], '\n') >= 0
		if err == io.EOF {
			return lf, nil
		}
		if err != nil {
			return false, err
		}
	}
}

func addCR(w io.Writer, in *bufio.Reader) error {
	out := bufio.NewWriterSize(w, 64<<10)
	for {
		line, err := in.ReadSlice('\n')
		body, ended := bytes.CutSuffix(line, []byte("\n"))
		out.Write(body)
		if ended {
			out.WriteString("\r\n")
		}
		if err == io.EOF {
			return out.Flush()
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// unbase64 decodes bare base64 text; all else stays as it is.
func unbase64(b []byte) []byte {
	if !isBase64Text(b) {
		return b
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(b)), ""))
	if err != nil {
		return b
	}
	return der
}

// isBase64Text says whether b looks like the base64 of a DER SEQUENCE.
func isBase64Text(b []byte) bool {
	b = bytes.TrimSpace(b)
	return bytes.HasPrefix(b, []byte("M")) && len(b) > 16 && !bytes.ContainsFunc(b, func(r rune) bool {
		letter := r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("+/= \t\r\n", r)
	})
}

func printable(b []byte) bool {
	return !bytes.ContainsFunc(b, func(r rune) bool {
		return r < ' ' && !strings.ContainsRune("\t\r\n", r) || r == '\uFFFD'
	})
}
