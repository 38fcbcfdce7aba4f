#!/usr/bin/env bash
# Runs the README's sh blocks as they stand, against a fresh demo, and checks
# what they print. Ports and paths are the README's own.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
rm -rf demo-data
./bin/cryptogramm demo --data demo-data >"$scratch/demo" 2>&1 &
demo=$!
cleanup() {
  kill $demo 2>/dev/null || true
  wait $demo 2>/dev/null || true
  rm -rf "$scratch" demo-data contract.txt letter.eml changed.eml receipt.eml
}
trap cleanup EXIT
for _ in $(seq 100); do [ -f demo-data/demo.json ] && break; sleep 0.1; done
[ -f demo-data/demo.json ] || { cat "$scratch/demo"; echo "the demo was not up within 10 s"; exit 1; }

awk '/^```sh$/ { on = 1; next } /^```$/ { on = 0 } on' README.md >"$scratch/lines.sh"
[ "$(wc -l <"$scratch/lines.sh")" -gt 15 ] || { echo "README has no lines to run"; exit 1; }
bash -eu "$scratch/lines.sh" 2>&1 | tee "$scratch/out"

failed=0
expect() { # what, how often, pattern
  if [ "$(grep -cE "$3" "$scratch/out")" = "$2" ]; then echo "ok: $1"; else echo "FAILED: $1"; failed=$((failed + 1)); fi
}
expect "the signed letter is accepted" 1 '^accepted$'
expect "the changed letter is refused" 1 '^< 550.5\.7\.7 .*[a-z2-7]{26}'
expect "the acceptance is on record" 1 'SubmissionAcceptance'
expect "the rejection is on record" 1 'SubmissionRejection'
expect "everything can be derived again" 1 '^1 submissions, 1 letters, .* 0 problems$'
expect "verify passes the letter before the change" 1 '^.*TOTAL-PASSED'
expect "the gateway's signature under the receipt is good" 1 '^CMS Verification successful'
expect "the receipt names the letter" 1 '^Subject: Contract'
expect "the Sent copy shows its state" 1 '^\* 1 FETCH .*\$Notified'
for _ in $(seq 100); do [ "$(ls demo-data/outbox | grep -c 'eml$')" = 2 ] && break; sleep 0.1; done
if [ "$(ls demo-data/outbox | grep -c 'eml$')" = 2 ]; then echo "ok: two notices"; else echo "FAILED: two notices"; failed=$((failed + 1)); fi
echo "$((10 - failed)) passed, $failed failed"
[ "$failed" = 0 ]
