#!/usr/bin/env bash
# Configure a build folder: configure.sh FOLDER [MESON OPTION]... It is silent unless meson fails, and then shows what
# meson said.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
shift
if ! command -v meson > /dev/null; then
    echo "smollm: meson is not installed; scripts/install-packages.sh build installs what the build needs" >&2
    exit 1
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A folder that was configured before, perhaps before the packages were there, keeps what has been built in it.
[ ! -f "$folder/build.ninja" ] || set -- --reconfigure "$@"
if ! meson setup "$folder" "$@" > "$log" 2>&1; then
    cat "$log" >&2
    echo "smollm: the build could not be configured (above: what meson said); scripts/install-packages.sh build" \
        "installs what it needs" >&2
    exit 1
fi
