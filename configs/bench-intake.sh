#!/usr/bin/env bash
# Verified intake beside the floor of the same minutes: 20 KB letters (RSA-2048)
# over TLS with AUTH, on SQLite and a directory and, where the environment names
# them, on PostgreSQL and an object store.
set -euo pipefail
cd "$(dirname "$0")/.."
args=(--rounds "${ROUNDS:-3}" --letters "${LETTERS:-1500}")
scratch=$(mktemp -d "$PWD/bench-XXXXXX")
name=bench_$(basename "$scratch" | tr A-Z a-z | tr -dc a-z0-9)
cleanup() {
  rm -rf "$scratch"
  [ -z "${CRYPTOGRAMM_POSTGRES:-}" ] || psql "$CRYPTOGRAMM_POSTGRES" -qc "DROP DATABASE IF EXISTS $name WITH (FORCE)"
}
trap cleanup EXIT

echo "SQLite and a directory:"
./bin/cryptogramm bench intake --dir "$scratch" "${args[@]}"
if [ -n "${CRYPTOGRAMM_POSTGRES:-}" ] && [ -n "${CRYPTOGRAMM_S3:-}" ]; then
  echo "PostgreSQL and an object store:"
  psql "$CRYPTOGRAMM_POSTGRES" -qc "CREATE DATABASE $name"
  (umask 077 && echo "$CRYPTOGRAMM_POSTGRES dbname=$name" >"$scratch/dsn" && echo "$CRYPTOGRAMM_S3/$name" >"$scratch/s3")
  ./bin/cryptogramm bench intake --dir "$scratch" "${args[@]}" --store-dsn-file "$scratch/dsn" --s3-url-file "$scratch/s3"
fi
