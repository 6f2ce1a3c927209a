#!/usr/bin/env bash
# clang's path-sensitive analyzer over all C sources of the product; any finding is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
checks=core,deadcode,unix,security.insecureAPI.gets,security.insecureAPI.strcpy,nullability
# page.c includes a header that the build makes.
flags=(-std=c17 -D_GNU_SOURCE '-DSMOLLM_VERSION="check"' '-DPAGE_FOLDER="web/dist"' '-DPAGE_PACKED_FOLDER="build-check-gcc/src/server"' -Iinclude -Isrc -Ibuild-check-gcc/src/server)
git ls-files 'src/*.c' | grep -v -e unicode_classes -e kernel/x86/matmul | xargs -P "$(nproc)" -I{} \
    bash -c 'f=""; case {} in *x86*) f="-mavx2 -mfma -mf16c";; esac
             out=$(clang --analyze -Xclang -analyzer-checker='"$checks"' -Xclang -analyzer-output=text '"$(printf '%q ' "${flags[@]}")"' $f {} -o /dev/null 2>&1); [ -z "$out" ] || { echo "$out"; exit 1; }'
