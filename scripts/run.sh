#!/usr/bin/env bash
# Serve the chat page with the small model; further arguments go to `smollm serve`.
set -euo pipefail
cd "$(dirname "$0")/.."
model=$(scripts/fetch-model.sh)
exec build/smollm serve "$model" "$@"
