#!/bin/sh
# Builds dist/index.html from the locked packages. With --check, fails where the committed page differs.
set -eu
cd "$(dirname "$0")"
npm ci --ignore-scripts --silent --no-progress
node_modules/.bin/tsc --noEmit
if [ "${1-}" = --check ]; then
    kept=$(mktemp -d)
    trap 'rm -rf "$kept"' EXIT
    cp dist/index.html dist/csp.txt "$kept"
    node build.mjs
    cmp "$kept/index.html" dist/index.html
    cmp "$kept/csp.txt" dist/csp.txt
else
    node build.mjs
fi
