package imapd

import (
	"crypto/rand"
	"database/sql"
	"os"
	"strings"
	"testing"

	"cryptogramm.ru/cryptogramm/store"
)

// TestIdleAcrossNodes: a client in IDLE at one node is told what happens at
// another (PostgreSQL, LISTEN and NOTIFY).
func TestIdleAcrossNodes(t *testing.T) {
	dsn := os.Getenv("CRYPTOGRAMM_POSTGRES")
	if dsn == "" {
		t.Log("not tried: CRYPTOGRAMM_POSTGRES names no server")
		return
	}
	admin, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	schema := "imapd_" + strings.ToLower(rand.Text())
	if _, err := admin.Exec("CREATE SCHEMA " + schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if db, err := sql.Open("pgx", dsn); err == nil {
			db.Exec("DROP SCHEMA " + schema + " CASCADE")
			db.Close()
		}
	})
	shared := store.Config{Driver: "postgres", DSN: dsn + " search_path=" + schema}
	near, far := startNode(t, shared, Limits{}), startNode(t, shared, Limits{})
	idle, other := near.open(t, "Drafts"), far.open(t, "Drafts")
	idle.send("i IDLE\r\n")
	idle.want("+ ")
	if got := other.append("Drafts", plainMail); !strings.HasPrefix(got, "OK") {
		t.Fatal(got)
	}
	idle.want("* 1 EXISTS")
	other.ok(`STORE 1 +FLAGS (\Deleted)`)
	idle.want(`* 1 FETCH (UID 1 FLAGS (\Deleted))`)
	other.ok("EXPUNGE")
	idle.want("* 1 EXPUNGE")
	idle.send("DONE\r\n")
	idle.want("i OK")
}
