#!/usr/bin/env bash
# From a fresh clone to the first answer, as the README says it, in a machine where nothing is installed: run by
# `tests/bare/bare_root.sh tests/bare/first_answer.sh`. Each step names what it expects; the last line counts them.
#
# It installs packages and makes users, so it refuses to run outside of such a root.
set -euo pipefail
command -v meson > /dev/null && { echo "first_answer.sh: this is not a bare root (meson is installed)" >&2; exit 1; }
clone=$PWD
passed=0
ok() { echo "ok      $1"; passed=$((passed + 1)); }
fail() { echo "FAILED  $1"; [ -z "${2:-}" ] || tail -n 40 "$2"; echo "$passed passed, 1 failed"; exit 1; }
log=$(mktemp)
chmod 666 "$log"

# Serves in the background as $1, waits for the address, asks one question, ends the server.
first_answer() {
    local user=$1 folder=$2 wrapper=$3 address= server
    setsid $wrapper runuser -u "$user" -- env HOME="/home/$user" LANG=C.UTF-8 bash -c 'cd "$1" && make run ARGS="--port 0"' \
        - "$folder" > "$log" 2>&1 &
    server=$!
    for ((i = 0; i < 1500; i++)); do
        address=$(sed -n 's,^smollm: .* at http://\(.*\)$,\1,p' "$log")
        [ -z "$address" ] && kill -0 "$server" 2> /dev/null || break
        sleep 1
    done
    [ -n "$address" ] || return 1
    # In the server's own network, which may have nothing but a loopback device.
    nsenter --net="/proc/$(pgrep -n -f 'build/smollm serve')/ns/net" python3 - "$address" > "$log.answer" <<'P' || return 1
import json, sys, urllib.request
body = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8, "temperature": 0}
request = urllib.request.Request(f"http://{sys.argv[1]}/v1/chat/completions", json.dumps(body).encode(),
                                 {"Content-Type": "application/json"})
text = json.load(urllib.request.urlopen(request, timeout=120))["choices"][0]["message"]["content"]
page = urllib.request.urlopen(f"http://{sys.argv[1]}/", timeout=10).read()
assert text.strip() and b"<html" in page, text
print(text)
P
    kill -TERM -- "-$server" 2> /dev/null || true
    wait "$server" 2> /dev/null || true
}

useradd -m plain
git clone -q "$clone" /home/plain/smollm
chown -R plain: /home/plain/smollm
if runuser -u plain -- env HOME=/home/plain bash -c 'cd /home/plain/smollm && make run' > "$log" 2>&1 < /dev/null; then
    fail "a user without sudo is told" "$log"
fi
grep -q 'apt-get install --no-install-recommends .*meson' "$log" || fail "a user without sudo is told" "$log"
ok "a user without sudo is told what an administrator must run"

apt-get -qq update > /dev/null
apt-get -qq install -y --no-install-recommends sudo procps > /dev/null 2>&1
useradd -m dev
echo 'dev ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/dev
cp -r /root/.config /root/.npmrc /home/dev/ 2> /dev/null || true
folder="/home/dev/a folder with ümlaut"
git clone -q "$clone" "$folder"
chown -R dev: /home/dev
begin=$SECONDS
first_answer dev "$folder" "" || fail "make run, as a user with sudo, in a folder with a space and an umlaut" "$log"
ok "make run, as a user with sudo, in a folder with a space and an umlaut: $(cat "$log.answer") ($((SECONDS - begin)) s)"

grep -q "installing Debian packages" "$log" || fail "the first start installed packages" "$log"
begin=$SECONDS
cat > /tmp/offline.py <<'P'
# Runs a command in a network of its own that has a loopback device and nothing else.
import ctypes, fcntl, os, socket, struct, sys
CLONE_NEWNET, SIOCSIFFLAGS, IFF_UP = 0x40000000, 0x8914, 1
assert ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP) + bytes(14))
os.execvp(sys.argv[1], sys.argv[1:])
P
first_answer dev "$folder" "python3 /tmp/offline.py" || fail "make run again, without a network" "$log"
ok "make run again, without a network: $(cat "$log.answer") ($((SECONDS - begin)) s)"
echo "$passed passed, 0 failed"
