#!/usr/bin/env bash
# Each header compiles alone; the public ones in C++ too where a compiler is there.
set -euo pipefail
cd "$(dirname "$0")/.."
for header in $(git ls-files 'include/*.h' 'src/*.h'); do
    case $header in *_wide.h) continue ;; esac # not a header of its own: the text of a kernel, which each tier includes
    flags=()
    case $header in src/kernel/x86/*) [ "$(uname -m)" = x86_64 ] || continue; flags=(-mavx2 -mfma -mf16c) ;; esac
    case $header in *avx512*) flags+=(-mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni) ;; esac
    echo "#include \"$header\"" | gcc -std=c17 -D_GNU_SOURCE -Wall -Werror -Wno-unused-function -I. -Iinclude -Isrc \
        "${flags[@]}" -fsyntax-only -x c - || { echo "$header does not compile alone"; exit 1; }
done
if command -v g++ > /dev/null; then
    echo '#include "smollm.h"' | g++ -Wall -Werror -Iinclude -fsyntax-only -x c++ -
fi
