#!/bin/sh
# Tests of the chat page in headless Chromium (CHROMIUM names another), against a server that misbehaves on demand.
# With SMOLLM and SMOLLM_TEST_MODEL set, one conversation with the real server too.
set -eu
cd "$(dirname "$0")"
stamp=../../web/node_modules/.package-lock.json
if [ ! -e "$stamp" ] || [ ../../web/package-lock.json -nt "$stamp" ]; then
    (cd ../../web && npm ci --ignore-scripts --silent --no-progress)
fi
# Two at a time: much of it is waiting. Older Node has no such option.
if node --test-concurrency=2 --version > /dev/null 2>&1; then
    exec node --test --test-concurrency=2 ./*.test.mjs
fi
exec node --test ./*.test.mjs
