#!/usr/bin/env bash
# Make models of one shape in several types, to compare how fast each is: random weights, quantized by llama.cpp itself, so
# that each file has the mixture of types that its name stands for.
# usage: make_types.sh LLAMA_CPP DIR [TYPE...]      default: Q4_0 Q8_0 Q6_K Q5_K_M IQ4_XS
#        SHAPE=3b|135m|tiny (3b); writes DIR/SHAPE-TYPE.gguf and leaves out what is there
# Needs a python3 with numpy (.venv of the tests is taken), and for the 3b 6.3 GB of disk for the F16 file, which is removed
# at the end, besides 1.7 to 3.3 GB a type. IQ4_XS takes several minutes on two cores.
set -euo pipefail
usage="usage: make_types.sh LLAMA_CPP DIR [TYPE...]"
llama=${1:?$usage} dir=${2:?$usage}
shift 2
[ $# -gt 0 ] || set -- Q4_0 Q8_0 Q6_K Q5_K_M IQ4_XS
shape=${SHAPE:-3b}
root=$(cd "$(dirname "$0")/.." && pwd)
python=python3
[ -x "$root/.venv/bin/python" ] && python=$root/.venv/bin/python
quantize=$(find "$llama" -name llama-quantize -type f -perm -u+x | head -n 1)
[ -n "$quantize" ] || { echo "make_types: $llama holds no llama-quantize: build it with bench/llamacpp_build.sh" >&2; exit 1; }
mkdir -p "$dir"

wanted=()
for type in "$@"; do
    [ -f "$dir/$shape-$type.gguf" ] || wanted+=("$type")
done
[ ${#wanted[@]} -gt 0 ] || exit 0

if [ "$shape" = 3b ]; then
    free=$(df --output=avail -B 1000000000 "$dir" | tail -n 1)
    need=$((7 + 4 * ${#wanted[@]}))
    [ "$free" -ge "$need" ] || { echo "make_types: up to $need GB of disk are needed in $dir, $free GB are free" >&2; exit 1; }
fi

plain=$dir/$shape-F16.partial.gguf
trap 'rm -f "$plain" "$dir/$shape"-*.unfinished' EXIT
tokenizer=$("$root/scripts/fetch-llama3-tokenizer.sh")
"$python" "$root/bench/synth_gguf.py" "$plain" --tokenizer "$tokenizer/tokenizer.json" --shape "$shape" --quant f16
for type in "${wanted[@]}"; do
    out=$dir/$shape-$type.gguf
    if [ "$type" = F16 ]; then
        cp "$plain" "$out.unfinished"
    else
        "$quantize" "$plain" "$out.unfinished" "$type" "$(nproc)" > "$dir/$shape-$type.log" 2>&1 ||
            { tail -n 5 "$dir/$shape-$type.log" >&2; exit 1; }
        rm "$dir/$shape-$type.log"
    fi
    mv "$out.unfinished" "$out"
    echo "$out $(stat -c %s "$out") bytes"
done
