package e2e

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// servers are the flags that put a demo on PostgreSQL and an object store, with
// a database and a bucket of its own, when CRYPTOGRAMM_E2E_BACKEND is
// "postgres-minio"; CRYPTOGRAMM_POSTGRES and CRYPTOGRAMM_S3 name the servers.
// Without it there are none: SQLite and a directory. remove drops the database;
// what an object lock holds stays.
func servers(dir string) (flags []string, remove func(), err error) {
	remove = func() {}
	switch backend := os.Getenv("CRYPTOGRAMM_E2E_BACKEND"); backend {
	case "", "sqlite-dir":
		return nil, remove, nil
	case "postgres-minio":
	default:
		return nil, remove, fmt.Errorf("CRYPTOGRAMM_E2E_BACKEND %q: postgres-minio or sqlite-dir", backend)
	}
	name := "e2e-" + serial()
	server := os.Getenv("CRYPTOGRAMM_POSTGRES")
	if server == "" || strings.Contains(server, "://") {
		return nil, remove, errors.New("CRYPTOGRAMM_POSTGRES is no list of key=value")
	}
	if err := sql(server, `CREATE DATABASE "`+name+`"`); err != nil {
		return nil, remove, err
	}
	remove = func() { sql(server, `DROP DATABASE "`+name+`" WITH (FORCE)`) }
	place, err := bucket(name)
	if err != nil {
		return nil, remove, err
	}
	dsn := server + " dbname=" + name // the last of two counts
	dsnFile, placeFile := filepath.Join(dir, "dsn"), filepath.Join(dir, "s3-url")
	err = errors.Join(os.WriteFile(dsnFile, []byte(dsn+"\n"), 0o600), os.WriteFile(placeFile, []byte(place+"\n"), 0o600))
	return []string{"--store-dsn-file", dsnFile, "--s3-url-file", placeFile}, remove, err
}

func sql(server, statement string) error {
	if out, err := exec.Command("psql", server, "-qc", statement).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", statement, err, out)
	}
	return nil
}

// bucket makes a bucket with object lock and returns its URL.
func bucket(name string) (string, error) {
	u, err := url.Parse(os.Getenv("CRYPTOGRAMM_S3"))
	if err != nil || u.User == nil || u.Host == "" {
		return "", errors.New("CRYPTOGRAMM_S3 is no http[s]://KEY:SECRET@HOST:PORT/BUCKET")
	}
	secret, _ := u.User.Password()
	made := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/" + name}
	cmd := exec.Command("curl", "-sS", "--fail-with-body", "--config", "-", "--aws-sigv4", "aws:amz:us-east-1:s3", "--request", "PUT",
		"--header", "x-amz-bucket-object-lock-enabled: true", made.String())
	cmd.Stdin = strings.NewReader(fmt.Sprintf("user = %q\n", u.User.Username()+":"+secret))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make bucket: %w\n%s", err, out)
	}
	made.User = u.User
	return made.String(), nil
}
