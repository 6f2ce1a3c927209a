#!/usr/bin/env bash
# Everything about the sources that needs no model: `make check`.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0

step() {
    local name=$1
    shift
    local output
    if output=$("$@" 2>&1); then
        echo "ok      $name"
    else
        echo "FAILED  $name"
        printf '%s\n' "$output" | tail -40
        failed=1
    fi
}

format_is_right() { git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror; }

# Warnings are errors in both compilers; the build folders are kept, so that a second run is quick. gcc finds some warnings
# only while optimizing; clang takes four minutes to optimize the kernels, and finds its warnings without.
compiles() {
    local folder=build-check-$1
    [ -f "$folder/build.ninja" ] || CC=$1 meson setup "$folder" -Dwerror=true -Dfuzz="$2" -Doptimization="$3" || return 1
    ninja -C "$folder"
}

step "layout of the sources (clang-format)" format_is_right
step "layers: rooms include only from rooms below" scripts/check-layers.py
step "public and room headers compile alone" scripts/check-headers.sh
step "gcc without warnings" compiles gcc false 3
step "clang without warnings" compiles clang true 1
step "clang's static analysis" scripts/check-analysis.sh
step "exported symbols start with smollm_" scripts/check-symbols.sh exports
step "nothing of libm between file and token" scripts/check-symbols.sh libm
step "no path, host or name from outside the tree" scripts/check-words.sh
step "the built page is what its sources build" web/build.sh --check
exit $failed
