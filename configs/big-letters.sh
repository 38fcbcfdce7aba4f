#!/usr/bin/env bash
# Four letters of 1 GiB at once within 256 MiB of memory (R11): two signed beside
# their content, two around it, sent by curl over TLS, kept in a directory and,
# where a MinIO server is installed, in an object store; read by IMAP in pieces
# and from the web, and compared octet by octet. Needs curl, OpenSSL and some
# 20 GiB of disk; root for the limit by a cgroup.
#
#   configs/big-letters.sh [MiB of a letter]
#   ONLY=directory or ONLY=bucket tries one of the two
set -euo pipefail
cd "$(dirname "$0")/.."
mib=${1:-1024} limit=${LIMIT_MIB:-256} piece=$((4 << 20))
bin=${BIN:-$PWD/bin/cryptogramm} scratch=$(mktemp -d "${SCRATCH:-$PWD}/big-XXXXXX")
taken() { # whether somebody listens at one of our ports
  for p in 80 143 443 465 587 900 993; do (exec 3<>"/dev/tcp/127.0.0.1/$(($1 + p))") 2>/dev/null && return; done
  return 1
}
base=$((20000 + RANDOM % 30 * 1000))
while taken $base; do base=$((20000 + RANDOM % 30 * 1000)); done
demo='' minio='' group='' failed=0

cleanup() {
  for p in $demo $minio; do { kill "$p" && wait "$p"; } 2>/dev/null || true; done
  [ -z "$group" ] || rmdir "$group" || true
  rm -rf "$scratch"
}
trap cleanup EXIT
say() { echo "$(date +%T) $*"; }
wrong() { say "WRONG: $*"; failed=1; }

# A cgroup of version 2 or 1; where neither may be made, the peak of the
# process is looked at afterwards.
enclose() {
  local v2=/sys/fs/cgroup/unified v1=/sys/fs/cgroup/memory name=cryptogramm-big-$$
  [ -f /sys/fs/cgroup/cgroup.controllers ] && v2=/sys/fs/cgroup
  if grep -qw memory $v2/cgroup.controllers 2>/dev/null && echo +memory >$v2/cgroup.subtree_control && mkdir $v2/$name; then
    group=$v2/$name
    echo $((limit << 20)) >"$group/memory.max" && { echo 0 >"$group/memory.swap.max" || true; }
    say "limit: cgroup v2, memory.max=${limit}M"
  elif mkdir $v1/$name; then
    group=$v1/$name
    echo $((limit << 20)) >"$group/memory.limit_in_bytes"
    say "limit: cgroup v1, memory.limit_in_bytes=${limit}M"
  else
    say "limit: none can be set; the peak of the process (VmHWM) is held against ${limit}M"
  fi
} 2>/dev/null
inside() { # command: becomes it within the limit
  [ -z "$group" ] || echo $BASHPID >"$group/cgroup.procs"
  exec "$@"
}
peak() { awk '/VmHWM/ { print int($2 / 1024) }' "/proc/$1/status"; }
killed() { # how often something was killed for want of memory
  cat "$group/memory.events" "$group/memory.oom_control" 2>/dev/null | awk '$1 == "oom_kill" { n += $2 } END { print n + 0 }'
}

crlf() { sed 's/$/\r/'; }
armour() { base64 -w 76 | crlf; }
entity() { # octets of it
  printf 'Content-Type: application/octet-stream; name="big.bin"\r\nContent-Disposition: attachment; filename="big.bin"\r\n'
  printf 'Content-Transfer-Encoding: base64\r\n\r\n'
  head -c $((($1 - 1024) / 78 * 57)) /dev/urandom | armour
}
head_of() { # number, rest
  printf 'From: anna@demo.test\r\nTo: boris@demo.test\r\nSubject: big %s\r\nMessage-ID: <big-%s-%s@demo.test>\r\nMIME-Version: 1.0\r\n%b' "$1" "$1" $$ "$2"
}
sign() { openssl cms -sign -binary -md sha256 -outform DER -signer "$ca/anna.pem" -inkey "$ca/anna.key" -certfile "$ca/issuing.pem" "$@"; }
detached() { # number
  entity $(((mib << 20) - 65536)) >"$scratch/entity"
  head_of "$1" 'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary=b\r\n\r\n--b\r\n'
  cat "$scratch/entity"
  printf '\r\n--b\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n'
  sign -in "$scratch/entity" | armour
  printf '\r\n--b--\r\n'
}
opaque() { # number
  entity $((((mib << 20) - 131072) / 78 * 57 / 100 * 99)) >"$scratch/entity" # what is streamed comes in pieces, each with a head
  head_of "$1" 'Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n'
  sign -nodetach -stream -in "$scratch/entity" | armour
}

start() { # arguments of demo
  rm -f "$scratch/data/demo.json"
  inside "$bin" demo --data "$scratch/data" --port-base "$base" --letter-mib "$mib" "$@" >/dev/null 2>"$scratch/demo.log" &
  demo=$!
  until [ -f "$scratch/data/demo.json" ]; do sleep 0.2; kill -0 $demo || { cat "$scratch/demo.log"; exit 1; }; done
  ca=$scratch/data/ca
  password=$(sed -n '/"anna@demo.test"/,/"password"/s/.*"password": "\(.*\)".*/\1/p' "$scratch/data/demo.json")
  trust=$(sed -n 's/.*"ca": "\(.*\)".*/\1/p' "$scratch/data/demo.json")
}
stop() { { kill "$demo" && wait "$demo"; } 2>/dev/null || true; demo=''; }

send() { # number; curl waits two minutes for an answer, and who missed it sends again
  once "$1" || once "$1" || true
  tail -n 1 "$scratch/$1.id"
}
once() {
  curl -sv --cacert "$trust" --url "smtps://127.0.0.1:$((base + 465))" --user "anna@demo.test:$password" --max-time 1800 \
    --mail-from anna@demo.test --mail-rcpt boris@demo.test --upload-file "$scratch/$1.eml" 2>"$scratch/$1.log" || true
  sed -n 's/^< 250 2.0.0 .*\b\([a-z2-7]\{26\}\)\b.*/\1/p' "$scratch/$1.log" >"$scratch/$1.id"
  [ -s "$scratch/$1.id" ]
}
digest() { sha256sum | cut -d ' ' -f 1; }
by_imap() { # UID
  curl -s --cacert "$trust" --user "anna@demo.test:$password" \
    "imaps://127.0.0.1:$((base + 993))/Sent;UID=$1;PARTIAL=[0-$(((mib << 20) - 1)):$piece].$piece" | digest
}
by_web() { # path
  curl -s --cacert "$trust" -b "$scratch/jar" "https://127.0.0.1:$((base + 443))$1" | digest
}
together() { # function, arguments: one call each, all at once; their lines in order
  local f=$1 jobs=()
  shift
  for a in "$@"; do $f "$a" >"$scratch/out.${a//\//_}" & jobs+=($!); done
  wait "${jobs[@]}"
  for a in "$@"; do cat "$scratch/out.${a//\//_}"; done
}

same() { # what, list of digests: those of the letters, in any order
  [ "$(sort <<<"$2")" = "$(sort <<<"$sums")" ] && say "$1: the same" || wrong "$1: $2"
}

try() { # name of the store, arguments of demo
  local name=$1 began
  shift
  rm -rf "$scratch/data" && cp -r "$scratch/fresh" "$scratch/data"
  start "$@"
  if [ ! -f "$scratch/1.eml" ]; then
    say "making letters of $mib MiB"
    detached 1 >"$scratch/1.eml" && opaque 2 >"$scratch/2.eml" && detached 3 >"$scratch/3.eml" && opaque 4 >"$scratch/4.eml"
    rm "$scratch/entity"
    sums=$(for n in 1 2 3 4; do digest <"$scratch/$n.eml"; done)
  fi
  began=$SECONDS
  ids=$(together send 1 2 3 4)
  if [ "$(wc -w <<<"$ids")" = 4 ]; then
    say "$name: four letters accepted in $((SECONDS - began)) s, peak $(peak $demo) MiB"
  else
    for n in 1 2 3 4; do grep '^<' "$scratch/$n.log" | tail -n 3 || true; done
    tail -n 20 "$scratch/demo.log"
    wrong "$name: accepted: $ids"
    stop
    return
  fi
  curl -s --cacert "$trust" -c "$scratch/jar" -o /dev/null -H "Origin: https://127.0.0.1:$((base + 443))" \
    --data-urlencode address=anna@demo.test --data-urlencode "password=$password" "https://127.0.0.1:$((base + 443))/login"
  began=$SECONDS
  same "$name: by IMAP in pieces" "$(together by_imap 1 2 3 4)"
  say "$name: read by IMAP in $((SECONDS - began)) s, peak $(peak $demo) MiB"
  began=$SECONDS
  same "$name: from the web" "$(together by_web $(sed 's|.*|/sent/&/letter|' <<<"$ids"))"
  documents=$(together by_web $(sed 's|.*|/sent/&/document/0|' <<<"$ids"))
  [ "$(sort -u <<<"$documents" | wc -l)" = 4 ] || wrong "$name: documents: $documents"
  say "$name: downloaded in $((SECONDS - began)) s, peak $(peak $demo) MiB"
  [ "$(peak $demo)" -le "$limit" ] || wrong "$name: peak $(peak $demo) MiB"
  began=$SECONDS
  (inside "$bin" fsck --data "$scratch/data") || wrong "$name: fsck"
  say "$name: fsck in $((SECONDS - began)) s"
  [ -z "$group" ] || say "$name: killed for want of memory: $(killed)"
  stop
}

enclose
start && stop # the installation that each begins with, and for whose anna the letters are signed
mv "$scratch/data" "$scratch/fresh"
[ "${ONLY:-}" = bucket ] || try "directory"

server=$(command -v minio || command -v ~/go/bin/minio || true)
if [ "${ONLY:-}" = directory ]; then
  say "object store: not wanted"
elif [ -n "$server" ]; then
  at=127.0.0.1:$((base + 900)) secret=$(openssl rand -hex 20)
  MINIO_ROOT_USER=big MINIO_ROOT_PASSWORD=$secret CI=on MINIO_BROWSER=off "$server" server --quiet --address "$at" \
    --console-address 127.0.0.1:0 "$scratch/minio" >"$scratch/minio.log" 2>&1 &
  minio=$!
  until curl -sf "http://$at/minio/health/live"; do sleep 0.2; kill -0 $minio; done
  curl -sf -X PUT --aws-sigv4 aws:amz:us-east-1:s3 --user "big:$secret" -H 'x-amz-bucket-object-lock-enabled: true' "http://$at/letters"
  (umask 077 && echo "http://big:$secret@$at/letters" >"$scratch/s3.url")
  try "object store" --s3-url-file "$scratch/s3.url"
else
  say "object store: not tried, no MinIO server is installed"
fi
[ $failed = 0 ] && say "all right"
exit $failed
