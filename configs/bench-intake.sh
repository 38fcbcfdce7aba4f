#!/usr/bin/env bash
# Verified intake beside the floor of the same minute: 20 KB multipart/signed
# letters (RSA-2048) over TLS with AUTH, at 1, 8 and 32 sessions, on SQLite and a
# directory. TOOLS holds the load clients' sources (smtpload, floor).
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${TOOLS:-../shared/tools}
letters=${LETTERS:-1500} rounds=${ROUNDS:-3} base=${PORT_BASE:-31000}
scratch=$(mktemp -d "$PWD/bench-XXXXXX")
demo=
cleanup() { [ -z "$demo" ] || { kill "$demo" && wait "$demo"; } 2>/dev/null || true; rm -rf "$scratch"; }
trap cleanup EXIT

for t in smtpload floor; do
  cp -r "$tools/$t" "$scratch/$t.src" && chmod -R u+w "$scratch/$t.src"
  (cd "$scratch/$t.src" && go build -o "../$t" .)
done
./bin/cryptogramm demo --data "$scratch/data" --port-base "$base" >/dev/null 2>"$scratch/demo.log" &
demo=$!
until [ -f "$scratch/data/demo.json" ]; do sleep 0.1; kill -0 $demo; done
ca=$scratch/data/ca
password=$(sed -n '/"anna@demo.test"/,/"password"/s/.*"password": "\(.*\)".*/\1/p' "$scratch/data/demo.json")
head -c 14000 /dev/urandom | base64 >"$scratch/text"
openssl cms -sign -in "$scratch/text" -text -md sha256 -signer "$ca/anna.pem" -inkey "$ca/anna.key" -certfile "$ca/issuing.pem" \
  -from anna@demo.test -to boris@demo.test -subject bench | sed 's/\r$//' >"$scratch/letter.eml"

load() { # sessions
  "$scratch/smtpload" -addr "127.0.0.1:$((base + 465))" -tls implicit -user anna@demo.test -pass "$password" -from anna@demo.test \
    -to boris@demo.test -mail "$scratch/letter.eml" -c "$1" -m "$letters" -q
}
floor() { "$scratch/floor" -mode both -c "$1" -d 3s -dir "$scratch/floor.d"; }

for round in $(seq "$rounds"); do
  for c in 1 8 32; do
    f=$(floor $c) && l=$(load $c)
    echo "round $round  floor $f  |  intake $l" | awk -v c=$c '{
      match($0, /: [0-9]+ op/); f = substr($0, RSTART + 2, RLENGTH - 5)
      match($0, /[0-9.]+ msg/); l = substr($0, RSTART, RLENGTH - 4)
      printf "%s\n    sessions %d: %.2f of the floor\n", $0, c, l / f }'
  done
done
