package main

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/smtp"
	"os"
	"strings"
	"testing"
	"time"

	"cryptogramm.ru/cryptogramm/signer/cms"
	"cryptogramm.ru/cryptogramm/signer/pki"
)

// clientTLS trusts what a demo or serve was given as its CA, nothing else.
func clientTLS(t *testing.T, caFile string) *tls.Config {
	t.Helper()
	b, err := os.ReadFile(caFile)
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(b) {
		t.Fatalf("%s: %v", caFile, err)
	}
	return &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

// client logs in at a door as a mail program does.
func client(t *testing.T, address string, starttls bool, config *tls.Config, p demoParty) *smtp.Client {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(generous))
	if !starttls {
		conn = tls.Client(conn, config)
	}
	c, err := smtp.NewClient(conn, "localhost")
	if err == nil && starttls {
		err = c.StartTLS(config)
	}
	if err == nil {
		err = c.Auth(smtp.PlainAuth("", p.Email, p.Password, "localhost"))
	}
	if err != nil {
		t.Fatalf("%s as %s: %v", address, p.Email, err)
	}
	return c
}

// submit sends a letter; the error is the server's refusal.
func submit(t *testing.T, c *smtp.Client, from string, letter []byte, to ...string) error {
	t.Helper()
	if err := c.Mail(from); err != nil {
		return err
	}
	for _, r := range to {
		if err := c.Rcpt(r); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(letter); err != nil {
		t.Fatal(err)
	}
	return w.Close()
}

// letterOf is a signed letter of one text part.
func letterOf(t *testing.T, p demoParty, text string) []byte {
	t.Helper()
	chainPEM, err := os.ReadFile(p.Cert)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := pki.ParsePEMOrDER(chainPEM)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM, err := os.ReadFile(p.Key)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(keyPEM)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	part := "Content-Type: text/plain\r\n\r\n" + text + "\r\n"
	sig, err := cms.Sign(strings.NewReader(part), cms.SignOptions{
		Signer: key.(crypto.Signer), Certificate: chain[0], Chain: chain[1:], Detached: true, SigningTime: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: %s\r\nTo: boris@demo.test\r\nSubject: Contract\r\nMIME-Version: 1.0\r\n", p.Email)
	b.WriteString("Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b\r\n\r\n")
	fmt.Fprintf(&b, "--b\r\n%s\r\n--b\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n", part)
	for line := range chunks(base64.StdEncoding.EncodeToString(sig), 76) {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("--b--\r\n")
	return b.Bytes()
}

func chunks(s string, n int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for s != "" {
			line := s[:min(n, len(s))]
			if s = s[len(line):]; !yield(line) {
				return
			}
		}
	}
}

// browser keeps its connections open, as browsers do.
func browser(t *testing.T, config *tls.Config) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: generous,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
