package blob

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
)

// maxAnswer bounds an answer that is no object: lists and errors are XML, which
// is taken into memory.
const maxAnswer = 16 << 20

// newTransport dials the configured server and no proxy, keeps its connections,
// and takes no more of an answer than it should have.
func newTransport(c S3Config) http.RoundTripper {
	dialer := &net.Dialer{Timeout: min(5*time.Second, c.Timeout)}
	return &bounded{&http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: dialer.Timeout,
		TLSClientConfig:       &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		ResponseHeaderTimeout: c.Timeout, MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns: 64, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute,
		DisableCompression: true, // what is hashed is what was sent
	}}
}

type bounded struct{ *http.Transport }

func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.Transport.RoundTrip(r)
	if err != nil || r.Method == http.MethodGet && r.URL.RawQuery == "" && answer.StatusCode < 300 {
		return answer, err
	}
	answer.Body = &boundedBody{io.LimitReader(answer.Body, maxAnswer), answer.Body}
	return answer, nil
}

type boundedBody struct {
	io.Reader
	io.Closer
}

// codeOf is the error code of an S3 answer, "" for what is none.
func codeOf(err error) string {
	var answer minio.ErrorResponse
	if errors.As(err, &answer) {
		return answer.Code
	}
	return ""
}

// explain turns an error of the client into one of ours. Of a server's answer
// only status and code are repeated: its text may be anything, and repeat what
// it was sent.
func (s *S3) explain(ctx context.Context, err error) error {
	var answer minio.ErrorResponse
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil: // the caller's own end, and no word about the store
		return ctx.Err()
	case !errors.As(err, &answer):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	kind := ErrUnavailable
	switch answer.Code {
	case minio.NoSuchKey, minio.NoSuchVersion:
		kind = ErrNotExist
	case "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "BadDigest":
		kind = ErrCorrupt
	case "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientStorage":
		kind = ErrFull
	}
	if answer.StatusCode == http.StatusInsufficientStorage {
		kind = ErrFull
	}
	return fmt.Errorf("%w: the server answers %d %s", kind, answer.StatusCode, word(answer.Code))
}

// word is s when it is one harmless word.
func word(s string) string {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			return ""
		}
	}
	return s[:min(len(s), 64)]
}
