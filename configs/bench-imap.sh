#!/usr/bin/env bash
# Reading letters by IMAP from this gateway and from Dovecot (Debian), with one
# client in one run. Dovecot runs on loopback, with files in a scratch directory
# and nothing of the system's configuration; its mailbox is a Maildir.
set -euo pipefail
cd "$(dirname "$0")/.."
args=(--letters "${LETTERS:-10000}" --rounds "${ROUNDS:-3}" --idle "${IDLE:-1000}")
if ! command -v dovecot >/dev/null; then
  [ -z "${CI:-}" ] || { echo "dovecot is not installed"; exit 1; }
  echo "Dovecot is not installed: figures without a peer"
  exec ./bin/cryptogramm bench imap "${args[@]}"
fi

scratch=$(mktemp -d "$PWD/bench-XXXXXX")
chmod 755 "$scratch"
dovecot=
cleanup() {
  [ -z "$dovecot" ] || { kill "$dovecot" && wait "$dovecot"; } 2>/dev/null || true
  rm -rf "$scratch"
}
trap cleanup EXIT
ports=($(python3 -c 'import socket
s = [socket.socket() for _ in range(2)]
for x in s: x.bind(("127.0.0.1", 0))
print(*[x.getsockname()[1] for x in s])'))
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
  -keyout "$scratch/tls.key" -out "$scratch/tls.pem" 2>/dev/null
mail=$(id -un) internal=$(id -un) login=$(id -un)
[ "$(id -u)" != 0 ] || mail=nobody internal=dovecot login=dovenull
install -d -m 700 "$scratch/mail" && chown "$mail" "$scratch/mail"
(umask 077 && openssl rand -hex 12 >"$scratch/password")

cat >"$scratch/dovecot.conf" <<CONF
base_dir = $scratch/run
state_dir = $scratch/state
log_path = $scratch/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <$scratch/tls.pem
ssl_key = <$scratch/tls.key
disable_plaintext_auth = no
default_internal_user = $internal
default_login_user = $login
default_process_limit = 20000
default_client_limit = 40000
mail_max_userip_connections = 0
mail_location = maildir:$scratch/mail/Maildir
first_valid_uid = 0
passdb {
  driver = static
  args = password=$(cat "$scratch/password")
}
userdb {
  driver = static
  args = uid=$(id -u "$mail") gid=$(id -g "$mail") home=$scratch/mail
}
service imap-login {
  chroot =
  service_count = 0
  inet_listener imap {
    port = ${ports[0]}
  }
  inet_listener imaps {
    port = ${ports[1]}
    ssl = yes
  }
}
service anvil {
  chroot =
}
CONF
dovecot -F -c "$scratch/dovecot.conf" 2>"$scratch/err" &
dovecot=$!
echo $dovecot >"$scratch/pid"
for _ in $(seq 100); do (: </dev/tcp/127.0.0.1/"${ports[1]}") 2>/dev/null && break; sleep 0.1; done
(: </dev/tcp/127.0.0.1/"${ports[1]}") || { cat "$scratch/err" "$scratch/log"; exit 1; }

./bin/cryptogramm bench imap --dir "$scratch" "${args[@]}" \
  --peer "127.0.0.1:${ports[1]}" --peer-plain "127.0.0.1:${ports[0]}" --peer-name dovecot --peer-pid-file "$scratch/pid" \
  --peer-cold "find '$scratch/mail' -name 'dovecot.index*' -delete" --user bench --password-file "$scratch/password"
