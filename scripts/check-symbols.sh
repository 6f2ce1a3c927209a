#!/usr/bin/env bash
# Which symbols objects need and offer. exports: the shared library exports only smollm_ names. libm: no object of the folders
# from gguf to library needs a mathematical function of the C library, whose bits differ between CPUs and versions.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build-check-gcc
case $1 in
exports)
    wrong=$(nm -D --defined-only "$build"/src/libsmollm.so | awk '{print $3}' | sed 's/@.*//' | grep -v '^smollm_' || true)
    ;;
libm)
    functions='exp|exp2|expf|exp2f|expm1|log|logf|log2|log10|log1p|pow|powf|sin|sinf|cos|cosf|sincos|sincosf|tan|tanh|tanhf|fma|fmaf|fmod|fmodf|rint|rintf|nearbyint|nearbyintf|round|roundf|floor|floorf|ceil|ceilf|ldexp|ldexpf|frexp|cbrt|hypot|sqrt|sqrtf|lrint|lrintf'
    wrong=$(nm -A --undefined-only "$build"/src/libsmollm*.a 2> /dev/null | grep -E " U ($functions)\$" || true)
    ;;
esac
[ -z "$wrong" ] || { echo "$wrong"; exit 1; }
