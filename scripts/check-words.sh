#!/usr/bin/env bash
# The tree speaks of itself alone: no path of a developer's machine, no package registry's host; no marks of unfinished work.
set -euo pipefail
cd "$(dirname "$0")/.."
pattern='/wor''k/|pypi''\.org|pythonhosted''\.org|registry\.npm''js|deb\.deb''ian\.org|\.\./sha''red'
! git grep -nE "$pattern" -- . ':!scripts/check-words.sh' || exit 1
# In the roots that tests/bare makes, root's home is part of the test.
! git grep -nE '/ro''ot/' -- . ':!scripts/check-words.sh' ':!tests/bare' || exit 1
! git grep -nE '\b(TO''DO|FIX''ME|X''XX|HA''CK)\b' -- src include web/src tests bench scripts ':!scripts/check-words.sh' || exit 1
# Documentation: American spelling, and no return of phrases that readers stumbled over.
british='colour|neighbour|behaviour|favour|\bcent(re|red|res)\b|licence|(quanti|recogni|initiali|tokeni|normali|optimi|organi|summari)s(e|ed|es|er|ing|ation)\b|analys(e|ed|er|ing)\b|cancell(ed|ing)\b'
phrases="is no (text|address)|(is|are) the least\b|is there twice|finished or told|who asks|\b(in|have|has) moods?\b|\blately\b|\bby turns\b|\bso many\b|\bis dear\b|likeliest"
! git grep -niE "$british|$phrases" -- docs README.md CONTRIBUTING.md || exit 1
