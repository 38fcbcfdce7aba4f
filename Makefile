# `make run` and `make test` are all that a machine with Go needs.
# ALL=1 also demands the outside peers (browser, mail programs, OpenSSL, PostgreSQL, MinIO), as .ci/run has them.
# CRYPTOGRAMM_POSTGRES (key=value) and CRYPTOGRAMM_S3 (http://KEY:SECRET@HOST:PORT/BUCKET) name the servers.
SHELL := /bin/bash
BIN   := bin/cryptogramm
DATA  ?= demo-data
ALL   ?=
FUZZTIME ?= 20s

.PHONY: build run test unit check race fuzz bench bench-imap big kill powercut e2e readme lint clean

build:
	CGO_ENABLED=0 go build -trimpath -o $(BIN) ./cmd/cryptogramm

run: build
	./$(BIN) demo --data $(DATA)

test: unit
ifneq ($(ALL),)
	$(MAKE) check lint race e2e readme kill
	$(MAKE) big BIG_MIB=256
	$(MAKE) bench-imap LETTERS=2000
	$(MAKE) fuzz FUZZTIME=5000x
endif

unit: build
	go test ./...

# What must not change by being looked at: formatting, generated files, go.mod.
check:
	test -z "$$(gofmt -l $$(git ls-files '*.go'))"
	go vet ./... && go vet -tags failpoint ./gateway/... && go vet -tags kill ./cmd/...
	go generate ./...
	go mod verify >/dev/null
	git diff --exit-code

race:
	CGO_ENABLED=1 go test -race -short -timeout 20m ./...

# Every fuzz target of the tree for FUZZTIME each.
fuzz:
	@set -e; for pkg in $$(go list ./...); do \
	  for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$pkg; \
	  done; done

bench: build
	go test -run '^$$' -bench . -benchmem ./...
	configs/bench-intake.sh
	configs/bench-imap.sh

# Beside Dovecot, where that is installed. LETTERS makes it shorter or longer.
bench-imap: build
	configs/bench-imap.sh

# Four letters of BIG_MIB at once within 256 MiB of memory; 20 GiB of disk, root for the limit.
BIG_MIB ?= 1024
big: build
	configs/big-letters.sh $(BIG_MIB)

# Crashes between any two steps, of the process, of PostgreSQL and of MinIO, and at random under load; then fsck.
kill:
	go test -tags kill -run Kill -count 1 -timeout 25m -v ./cmd/cryptogramm

# Power cuts on a loop device, beside a control that must lose letters; needs root, xfsprogs and strace.
powercut: build
	configs/powercut.sh

# Real clients and a real browser against the real binary: on PostgreSQL and an object store where the
# environment names both, else on SQLite and a directory.
e2e: export CRYPTOGRAMM_E2E_BACKEND ?= $(if $(and $(CRYPTOGRAMM_POSTGRES),$(CRYPTOGRAMM_S3)),postgres-minio,sqlite-dir)
e2e: build
	cd webview/e2e && npm install --no-fund --no-audit --no-package-lock --silent
	cd webview/e2e && go vet ./...
	cd webview/e2e && go test -count 1 -timeout 15m -v ./...

# The lines of the README, run as they stand.
readme: build
	configs/readme-test.sh

# gosec's rules left out: unread errors of writers that cannot fail (G104), files named by the operator (G304), integer
# conversions whose range is checked before (G115), jitter (G404), digests and keys that are known only to be refused
# (G401, G403, G501, G505), and the one template type that document fills itself (G203).
lint:
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./... && go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 -tags failpoint,kill ./gateway ./cmd/...
	go run github.com/securego/gosec/v2/cmd/gosec@v2.22.4 -quiet -exclude-dir webview/e2e -exclude G104,G304,G115,G404,G401,G403,G501,G505,G203 ./...
	@if [ -f ../shared/vulndb/govulndb-2026-08-21.tgz ]; then \
	  db=$$(mktemp -d) && tar xzf ../shared/vulndb/govulndb-2026-08-21.tgz -C $$db && \
	  go run golang.org/x/vuln/cmd/govulncheck@v1.1.4 -db file://$$db/govulndb ./... ; status=$$?; rm -rf $$db; exit $$status; fi

clean:
	rm -rf bin $(DATA)
