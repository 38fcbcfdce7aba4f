package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/textproto"
	"time"

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// benchSMTP is a submission session that pipelines (RFC 2920), as mail servers
// and libraries do.
type benchSMTP struct{ *textproto.Conn }

// benchPatience ends a measurement that hangs.
const benchPatience = 10 * time.Minute

func dialBenchSMTP(ctx context.Context, address string, config *tls.Config, p demoParty) (*benchSMTP, error) {
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(benchPatience)); err != nil {
		return nil, err
	}
	s := &benchSMTP{textproto.NewConn(conn)}
	_, _, err = s.ReadResponse(220)
	if err == nil {
		err = s.command(250, "EHLO localhost")
	}
	if err == nil {
		login := base64.StdEncoding.EncodeToString([]byte("\x00" + p.Email + "\x00" + p.Password))
		err = s.command(235, "AUTH PLAIN "+login)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("submission: %w", err)
	}
	return s, nil
}

func (s *benchSMTP) command(want int, line string) error {
	if err := s.PrintfLine("%s", line); err != nil {
		return err
	}
	_, _, err := s.ReadResponse(want)
	return err
}

// send submits a letter that has CRLF line ends and no line beginning with a
// dot.
func (s *benchSMTP) send(from, to string, letter []byte) error {
	if err := s.PrintfLine("MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA", from, to); err != nil {
		return err
	}
	for _, want := range []int{250, 250, 354} {
		if _, _, err := s.ReadResponse(want); err != nil {
			return err
		}
	}
	if _, err := s.W.Write(letter); err != nil {
		return err
	}
	return s.command(250, ".")
}

func (s *benchSMTP) close() {
	_ = s.command(221, "QUIT") // nothing hangs on it any more
	s.Close()
}

// benchLetter is a multipart/signed letter (RFC 8551 §3.5.3) of 20 KB.
func benchLetter(p demoParty, to string) ([]byte, error) {
	pair, err := KeyPairConfig{Certificate: p.Cert, Key: p.Key}.read()
	if err != nil {
		return nil, err
	}
	var chain []*pki.Certificate
	for _, der := range pair.Certificate {
		c, err := pki.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	key, err := signing(pair)
	if err != nil {
		return nil, err
	}
	text := make([]byte, 12<<10)
	rand.Read(text)
	entity := append([]byte("Content-Type: text/plain; charset=us-ascii\r\n\r\n"), base64Lines(text)...)
	signature, err := cms.Sign(bytes.NewReader(entity), cms.SignOptions{
		Signer: key, Certificate: chain[0], Chain: chain[1:], Detached: true, SigningTime: time.Now(),
	})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nSubject: bench\r\nMIME-Version: 1.0\r\n", p.Email, to)
	b.WriteString("Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=bench\r\n\r\n--bench\r\n")
	b.Write(entity)
	b.WriteString("\r\n--bench\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	b.Write(base64Lines(signature))
	b.WriteString("\r\n--bench--\r\n")
	return b.Bytes(), nil
}

// base64Lines folds at 76 characters (RFC 2045 §6.8).
func base64Lines(b []byte) []byte {
	text := base64.StdEncoding.AppendEncode(nil, b)
	var out []byte
	for len(text) > 0 {
		n := min(76, len(text))
		out = append(append(out, text[:n]...), '\r', '\n')
		text = text[n:]
	}
	return out
}
