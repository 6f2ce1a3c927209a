#!/bin/sh
# Tests of the chat page in headless Chromium (CHROMIUM names another), against a server that misbehaves on demand.
# With SMOLLM_BINARY and SMOLLM_TEST_MODEL set, one conversation with the real server too.
set -eu
cd "$(dirname "$0")"
stamp=../../web/node_modules/.package-lock.json
if [ ! -e "$stamp" ] || [ ../../web/package-lock.json -nt "$stamp" ]; then
    (cd ../../web && npm ci --ignore-scripts --silent --no-progress)
fi
exec node --test ./*.test.mjs
