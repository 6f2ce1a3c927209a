#!/usr/bin/env bash
# Install the Debian packages for: build, test, check (any of them). Asks nothing, says what it installs, and does
# nothing where all are there.
set -euo pipefail

build=(gcc ninja-build meson pkg-config libuv1-dev libjansson-dev libcurl4-openssl-dev libssl-dev libedit-dev
       python3 python3-venv curl ca-certificates unzip)
test=(libcmocka-dev libsimde-dev nodejs npm chromium git qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
check=(clang clang-format libclang-rt-14-dev nodejs npm git binutils)

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
        gcc | meson | clang | clang-format | curl | git | python3 | unzip | chromium) command -v "$package" > /dev/null && continue ;;
    esac
    dpkg-query -W -f='${Status}' "$package" 2> /dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
echo "installing Debian packages: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq >&2
$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
