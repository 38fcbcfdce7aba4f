#!/usr/bin/env bash
# Power cuts without special hardware: the demo runs on XFS on a loop device;
# after eight letters the file system is shut down without flushing its log, and
# mounted again. Every letter answered with 250 must be there (R2), and fsck must
# find nothing. Then the control: with fsync made void, letters must be lost, or
# this test could not fail. Needs root, xfsprogs, strace, openssl, curl.
set -euo pipefail
cd "$(dirname "$0")/.."
cycles=${CYCLES:-10} base=${PORT_BASE:-32000}
bin=$PWD/bin/cryptogramm
scratch=$(mktemp -d)
disk=$scratch/disk data=$scratch/disk/data
mkdir "$disk"
stop() { pkill -9 -f "demo --data $data" || true; while pgrep -f "demo --data $data" >/dev/null; do sleep 0.1; done; }
trap 'stop; umount "$disk" 2>/dev/null || true; rm -rf "$scratch"' EXIT

letter() { # name
  printf 'Content-Type: text/plain\n\nletter %s\n' "$1" >"$scratch/text"
  openssl cms -sign -in "$scratch/text" -signer "$data/ca/anna.pem" -inkey "$data/ca/anna.key" -certfile "$data/ca/issuing.pem" \
    -from anna@demo.test -to boris@demo.test -subject "$1" | sed 's/\r$//' >"$scratch/$1.eml"
}

send() { # name; prints the id of a 250
  curl -sv --crlf --url "smtps://127.0.0.1:$((base + 465))" --cacert "$data/ca/ca.pem" --user "anna@demo.test:$password" \
    --mail-from anna@demo.test --mail-rcpt boris@demo.test --upload-file "$scratch/$1.eml" 2>&1 |
    sed -n 's/^< 250 2\.0\.0 \([a-z2-7]\{26\}\) accepted.*/\1/p'
}

cut_power() { # number of cycles, then the command that runs the demo; sets acknowledged and lost
  local n=$1
  acknowledged=0 lost=0
  shift
  truncate -s 600M "$scratch/image" && mkfs.xfs -q -f "$scratch/image" && mount -o loop "$scratch/image" "$disk"
  : >"$scratch/acks"
  for cycle in $(seq "$n"); do
    "$@" demo --data "$data" --port-base "$base" >"$scratch/log" 2>&1 &
    until [ -f "$data/demo.json" ]; do sleep 0.1; done
    [ "$cycle" != 1 ] || sync # the sample parties are not what is tried
    password=$(sed -n '/"anna@demo.test"/,/"password"/s/.*"password": "\(.*\)".*/\1/p' "$data/demo.json")
    for k in 1 2 3 4 5 6 7 8; do letter "$cycle-$k"; done
    for k in 1 2 3 4 5 6 7 8; do send "$cycle-$k" >>"$scratch/acks"; done
    xfs_io -x -c shutdown "$disk"
    stop 2>/dev/null
    wait 2>/dev/null || true
    for _ in $(seq 50); do ! umount "$disk" 2>/dev/null || break; sleep 0.1; done
    mount -o loop "$scratch/image" "$disk"
    rm -f "$data/demo.json"
    "$bin" fsck --data "$data" >"$scratch/fsck" || { cat "$scratch/fsck"; exit 1; }
  done
  "$bin" evidence list --data "$data" --event SubmissionAcceptance >"$scratch/list"
  while read -r id; do
    acknowledged=$((acknowledged + 1))
    [ "$(grep -c "$id" "$scratch/list")" = 1 ] || lost=$((lost + 1))
  done <"$scratch/acks"
  umount "$disk"
  echo "$n power cuts: $acknowledged letters acknowledged, $lost lost or doubled"
}

cut_power "$cycles" "$bin"
[ "$acknowledged" = $((8 * cycles)) ] && [ "$lost" = 0 ] || { echo "FAILED"; exit 1; }
echo "control, without fsync:"
cut_power 2 strace -f -qq -o /dev/null -e trace=fsync,fdatasync -e inject=fsync,fdatasync:retval=0 "$bin"
[ "$acknowledged" -gt 0 ] && [ "$lost" -gt 0 ] || { echo "FAILED: nothing was lost, so these cuts prove nothing"; exit 1; }
echo "2 passed, 0 failed"
