#!/usr/bin/env bash
# Run a command in a minimal Debian that has never seen the project: what a user meets after cloning it.
#
# usage: bare_root.sh [--suite bookworm|trixie] [--keep] COMMAND     (as root, with the packages of
#        scripts/install-packages.sh bare)
#
# HEAD of this checkout is cloned to /root/smollm in the root, and COMMAND runs there through bash -c. The root holds what
# `mmdebstrap --variant=minbase` installs, ca-certificates, git and make. Its archive is kept in the user's cache; each run
# unpacks a fresh copy, and --keep leaves that copy. Package mirrors and certificates are those of this machine.
set -euo pipefail
project=$(cd "$(dirname "$0")/../.." && pwd)
suite=bookworm
keep=
while [[ ${1:-} == --* ]]; do
    case $1 in
        --suite) suite=$2; shift 2 ;;
        --keep) keep=1; shift ;;
        *) echo "bare_root.sh: unknown option $1" >&2; exit 2 ;;
    esac
done
[ "$(id -u)" -eq 0 ] || { echo "bare_root.sh: making a root needs root" >&2; exit 1; }

archive=${XDG_CACHE_HOME:-$HOME/.cache}/smollm-tests/bare-root-$suite.tar
if [ ! -f "$archive" ]; then
    mkdir -p "$(dirname "$archive")"
    mirror=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2> /dev/null || true; } |
        grep -E '^(URIs:|deb )' | grep -oE '[a-z+]+://[^ ]+' | head -n 1)
    mmdebstrap -q --variant=minbase --include=ca-certificates,make,git "$suite" "$archive.part.tar" "$mirror"
    mv "$archive.part.tar" "$archive"
fi

root=$(mktemp -d)
cleanup() {
    # What the command left running holds the mounts.
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/root" 2> /dev/null)" != "$root" ] || kill -9 "${process#/proc/}" 2> /dev/null || true
    done
    for at in proc sys dev; do umount -l "$root/$at" 2> /dev/null || true; done
    if [ -n "$keep" ]; then echo "kept: $root" >&2; else rm -rf --one-file-system "$root"; fi
}
trap cleanup EXIT
tar xf "$archive" -C "$root"
mount -t proc proc "$root/proc"
for at in sys dev; do
    mount --rbind "/$at" "$root/$at"
    mount --make-rslave "$root/$at"
done
cp /etc/resolv.conf /etc/hosts "$root/etc/"
cp -r /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
rm -f "$root"/etc/apt/apt.conf.d/docker-*
mkdir -p "$root/usr/local/share/ca-certificates"
cp -rL /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/" 2> /dev/null || true
[ ! -f /etc/pip.conf ] || cp /etc/pip.conf "$root/etc/"
for file in .npmrc .config/pip/pip.conf; do
    [ ! -f "$HOME/$file" ] || install -D "$HOME/$file" "$root/root/$file"
done
chroot "$root" update-ca-certificates > /dev/null 2>&1 || true
git clone -q "$project" "$root/root/smollm"

pass=()
while IFS= read -r line; do pass+=("$line"); done < <(env |
    grep -E '^(PIP_(INDEX|EXTRA|TRUSTED|CERT|DEFAULT)|NPM_CONFIG|npm_config|https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY|SSL_CERT|NODE_EXTRA)' || true)
env -i HOME=/root LANG=C.UTF-8 TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    ${pass[0]:+"${pass[@]}"} chroot "$root" bash -c "cd /root/smollm || exit 1; $*"
