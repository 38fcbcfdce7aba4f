package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// benchIMAP is a client that counts what comes and looks at little of it: it
// must not be what is measured.
type benchIMAP struct {
	conn     net.Conn
	r        *bufio.Reader
	tag      int
	fetched  int   // FETCH responses of the last command
	octets   int64 // in literals of the last command
	exists   int   // of the last SELECT
	greeting string
}

// imapDoor is one way into a server.
type imapDoor struct {
	address        string
	config         *tls.Config // nil: plain
	user, password string
}

// dial logs in. buffer is what the client keeps for reading, in octets.
func (d imapDoor) dial(ctx context.Context, buffer int) (*benchIMAP, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	if d.config != nil {
		conn = tls.Client(conn, d.config)
	}
	c := &benchIMAP{conn: conn, r: bufio.NewReaderSize(conn, buffer)}
	err = conn.SetDeadline(time.Now().Add(benchPatience))
	if err == nil {
		c.greeting, err = c.line()
	}
	if err == nil {
		err = c.do(fmt.Sprintf("LOGIN %s %s", quoted(d.user), quoted(d.password)))
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("imap %s: %w", d.address, err)
	}
	return c, nil
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// do carries out one command; NO and BAD are errors.
func (c *benchIMAP) do(command string) error {
	c.tag++
	c.fetched, c.octets = 0, 0
	tag := "b" + strconv.Itoa(c.tag)
	if _, err := fmt.Fprintf(c.conn, "%s %s\r\n", tag, command); err != nil {
		return err
	}
	return c.wait(tag)
}

// wait reads up to the tagged answer, or to a continuation.
func (c *benchIMAP) wait(tag string) error {
	for {
		l, err := c.line()
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(l, "* "):
			c.count(l)
		case strings.HasPrefix(l, "+"):
			return nil
		case strings.HasPrefix(l, tag+" OK"):
			return nil
		case strings.HasPrefix(l, tag+" "):
			return errors.New(display(l[:min(len(l), 200)]))
		}
	}
}

func (c *benchIMAP) count(l string) {
	words := strings.SplitN(l, " ", 4)
	if len(words) < 3 {
		return
	}
	switch words[2] {
	case "FETCH":
		c.fetched++
	case "EXISTS":
		c.exists, _ = strconv.Atoi(words[1])
	}
}

// line is one response without its literals, whose octets are read and counted.
func (c *benchIMAP) line() (string, error) {
	var whole []byte
	for {
		part, err := c.r.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) {
			whole = append(whole, part...)
			part, err = c.r.ReadSlice('\n')
		}
		if err != nil {
			return "", err
		}
		whole = bytes.TrimRight(append(whole, part...), "\r\n")
		open := bytes.LastIndexByte(whole, '{')
		if open < 0 || whole[len(whole)-1] != '}' {
			return string(whole), nil
		}
		n, err := strconv.ParseInt(string(whole[open+1:len(whole)-1]), 10, 64)
		if err != nil {
			return string(whole), nil
		}
		if _, err := io.CopyN(io.Discard, c.r, n); err != nil {
			return "", err
		}
		c.octets += n
		whole = whole[:open]
	}
}

// append puts a letter into a mailbox.
func (c *benchIMAP) append(box string, letter []byte) error {
	if err := c.do(fmt.Sprintf("APPEND %s {%d}", quoted(box), len(letter))); err != nil {
		return err
	}
	if _, err := c.conn.Write(append(bytes.Clone(letter), '\r', '\n')); err != nil {
		return err
	}
	return c.wait("b" + strconv.Itoa(c.tag))
}

// open selects a mailbox.
func (c *benchIMAP) open(box string) error { return c.do("SELECT " + quoted(box)) }

func (c *benchIMAP) close() { c.conn.Close() }
