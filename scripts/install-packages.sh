#!/usr/bin/env bash
# Install the Debian packages of one or more sets: build, test, check, bare. Does nothing, and asks nothing, when all of
# them are there. A user who is not root needs sudo; without it, the command for an administrator is printed.
set -euo pipefail

build=(gcc libc6-dev ninja-build meson pkg-config libuv1-dev libjansson-dev libcurl4-openssl-dev libssl-dev libedit-dev
       python3 python3-venv ca-certificates unzip)
test=(libcmocka-dev libsimde-dev nodejs npm chromium curl git nginx haproxy libzmq5 qemu-user gcc-aarch64-linux-gnu
      libc6-dev-arm64-cross)
check=(clang clang-format libclang-rt-dev nodejs npm git binutils)
bare=(mmdebstrap git)

wanted=()
for set in "$@"; do
    declare -n packages=$set
    wanted+=("${packages[@]}")
done

missing=()
for package in $(printf '%s\n' "${wanted[@]}" | sort -u); do
    # Tools that came another way than by apt count too.
    case $package in
        nodejs) command -v node > /dev/null && continue ;;
        npm) command -v npm > /dev/null && continue ;;
        ninja-build) command -v ninja > /dev/null && continue ;;
        pkg-config) command -v pkg-config > /dev/null && continue ;;
        nginx) [ -x /usr/sbin/nginx ] && continue ;;
        haproxy) [ -x /usr/sbin/haproxy ] && continue ;;
        gcc | meson | clang | clang-format | curl | git | python3 | unzip | chromium | mmdebstrap)
            command -v "$package" > /dev/null && continue ;;
    esac
    dpkg-query -W -f='${Status}' "$package" 2> /dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

command="apt-get install --no-install-recommends ${missing[*]}"
if ! command -v apt-get > /dev/null; then
    printf 'This system has no apt-get. Install what these Debian packages hold, then try again:\n    %s\n' "${missing[*]}" >&2
    exit 1
fi
sudo=()
if [ "$(id -u)" -ne 0 ]; then
    # sudo may ask for a password only where somebody can type one.
    if command -v sudo > /dev/null && { sudo -n true 2> /dev/null || { [ -t 0 ] && sudo -v; }; }; then
        sudo=(sudo)
    else
        printf 'Debian packages are missing, and this user may not install them. An administrator can:\n    %s\n' \
            "$command" >&2
        exit 1
    fi
fi
echo "installing Debian packages: ${missing[*]}" >&2
# Programs that tests start themselves must not begin to serve when they are installed.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" > /dev/null
    "${sudo[@]}" chmod 755 "$policy"
    trap '"${sudo[@]}" rm -f "$policy"' EXIT
fi
log=$(mktemp)
apt() { "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" > "$log" 2>&1; }
# A package list may be old, so it is fetched first; without a network what is cached may still do.
apt update || true
if ! apt install -y --no-install-recommends "${missing[@]}"; then
    cat "$log" >&2
    printf 'smollm: apt-get could not install the packages. The command was:\n    %s\n' "$command" >&2
    exit 1
fi
rm -f "$log"
