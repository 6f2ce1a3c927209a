#!/usr/bin/env python3
"""What the build makes of web/dist: the page compressed, and a header that names both forms of it.

    pack-page.py INDEX_HTML CSP_TXT PAGE_STAMP_H INDEX_HTML_GZ

The compressed bytes depend on the page and on zlib, not on the time or the file's name. The header changes when any of
the files does, so that page.c, whose .incbin the compiler does not follow, is compiled again.
"""
import gzip
import hashlib
import sys

page_path, policy_path, stamp_path, packed_path = sys.argv[1:]
with open(page_path, "rb") as file:
    page = file.read()
with open(policy_path, "rb") as file:
    policy = file.read()
packed = gzip.compress(page, 9, mtime=0)
with open(packed_path, "wb") as file:
    file.write(packed)


def tag(content):
    """128 bits of the content's SHA-256: what an entity tag is made of."""
    return hashlib.sha256(content).hexdigest()[:32]


with open(stamp_path, "w", encoding="ascii") as file:
    file.write(f"/* The policy is {tag(policy)}. */\n"
               f'#define PAGE_ETAG "\\"{tag(page)}\\""\n'
               f'#define PAGE_GZIP_ETAG "\\"{tag(packed)}\\""\n')
