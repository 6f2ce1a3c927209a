#!/usr/bin/env bash
# The tree speaks of itself alone: no path of a developer's machine, no package registry's host; no marks of unfinished work.
set -euo pipefail
cd "$(dirname "$0")/.."
pattern='/wor''k/|/ro''ot/|pypi''\.org|pythonhosted''\.org|registry\.npm''js|deb\.deb''ian\.org|\.\./sha''red'
! git grep -nE "$pattern" -- . ':!scripts/check-words.sh' || exit 1
! git grep -nE '\b(TO''DO|FIX''ME|X''XX|HA''CK)\b' -- src include web/src tests bench scripts ':!scripts/check-words.sh' || exit 1
