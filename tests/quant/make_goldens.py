#!/usr/bin/env python3
"""Write tests/quant/goldens.bin: blocks of every GGUF type and the floats that gguf-py makes of them.

usage: make_goldens.py OUT     (needs the packages gguf and numpy)

Two kinds of evidence per type:
  - a few blocks with all their floats: random ones, and extreme ones (all bits 0 or 1, the factors d and dmin each at
    the edges of binary16), so that a failure can be looked at;
  - the CRC-32 of the floats of thousands of blocks from a counter-based generator that the test has too.
NaN is written as 0x7fc00000 throughout: which NaN comes out is not promised.

Layout, little-endian: "SMQG", u32 number of types; per type u32 type, columns per block, bytes per block, number of
blocks, number of generated blocks, CRC-32 of their floats, number of factors, their two byte offsets; then the blocks,
then their floats. At the end for narrowing: u32 count, CRC-32 of F16 and of BF16 of that many generated floats.
"""
import struct
import sys
import zlib

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize, quantize

# type: byte offsets of its binary16 factors
FACTORS = {
    T.F32: [], T.F16: [], T.BF16: [], T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0],
    T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ4_NL: [0], T.IQ4_XS: [0],
}
FACTOR_EDGES = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x3C00, 0x7BFF, 0xFBFF, 0x7C00, 0x7E00]
NARROW_COUNT = 1 << 20


def splitmix(count):
    """SplitMix64 as a counter: value i depends on i alone."""
    with np.errstate(over="ignore"):
        z = (np.arange(1, count + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def generated_blocks(kind, n_blocks, size):
    """The test's own generator: bytes of the counter; factors made finite by clearing their top exponent bit."""
    raw = splitmix((n_blocks * size + 7) // 8).astype("<u8").view(np.uint8)[: n_blocks * size].reshape(n_blocks, size)
    raw = raw.copy()
    for offset in FACTORS[kind]:
        raw[:, offset + 1] &= 0xBF
    return raw


def floats(kind, blocks, columns):
    data = np.ascontiguousarray(blocks)
    with np.errstate(all="ignore"):
        if kind == T.F32:
            out = data.view("<f4").copy()
        elif kind == T.F16:
            out = data.view("<f2").astype("<f4")
        else:
            out = dequantize(data, kind).astype("<f4")
    out = np.ascontiguousarray(out).reshape(len(blocks), columns)
    bits = out.view("<u4").copy()
    bits[np.isnan(out)] = 0x7FC00000
    return bits.astype("<u4")


def shown_blocks(kind, size):
    rng = np.random.default_rng(int(kind) + 1)
    random_count = 4 if size > 64 else 8 if size > 4 else 64
    random = rng.integers(0, 256, (random_count, size), np.uint8)
    for offset in FACTORS[kind]:
        random[:, offset + 1] = random[:, offset + 1] & 0x83 | 0x28  # about 2^-5 and 2^-4
    extreme = [np.full(size, 0, np.uint8), np.full(size, 255, np.uint8), np.full(size, 0x7F, np.uint8)]
    for number, edge in enumerate(FACTOR_EDGES):
        fill = np.full(size, 255, np.uint8) if number % 2 == 0 else rng.integers(0, 256, size, np.uint8)
        for k, offset in enumerate(FACTORS[kind]):
            fill[offset : offset + 2] = np.frombuffer(
                struct.pack("<H", FACTOR_EDGES[(number + 3 * k) % len(FACTOR_EDGES)]), np.uint8)
        extreme.append(fill)
    return np.concatenate([random, np.stack(extreme)])


def main():
    out = [b"SMQG", struct.pack("<I", len(FACTORS))]
    for kind, factors in FACTORS.items():
        columns, size = GGML_QUANT_SIZES[kind]
        blocks = shown_blocks(kind, size)
        n_generated = 65536 if columns == 1 else 4096 if columns == 32 else 1024
        generated = generated_blocks(kind, n_generated, size)
        if kind in (T.F16, T.BF16):  # every value there is
            generated = np.arange(65536, dtype="<u2").view(np.uint8).reshape(65536, 2)
        crc = zlib.crc32(floats(kind, generated, columns).tobytes())
        places = (factors + [0, 0])[:2]
        out.append(struct.pack("<9I", kind, columns, size, len(blocks), n_generated, crc, len(factors), *places))
        out.append(blocks.tobytes())
        out.append(floats(kind, blocks, columns).tobytes())
    # Narrowing: floats of every magnitude a half can have and beyond, exact ties among them.
    bits = (splitmix(NARROW_COUNT) & np.uint64(0xFFFFFFFF)).astype("<u4")
    exponent = 100 + (bits >> np.uint32(23)) % np.uint32(48)
    bits = bits & np.uint32(0x807FFFFF) | exponent << np.uint32(23)
    bits[::4] &= np.uint32(0xFFFFF000)
    values = bits.astype("<u4").view("<f4")
    with np.errstate(over="ignore"):
        half = values.astype("<f2")
    bfloat = quantize(values, T.BF16)
    out.append(struct.pack("<3I", NARROW_COUNT, zlib.crc32(half.tobytes()), zlib.crc32(bfloat.tobytes())))
    data = b"".join(out)
    with open(sys.argv[1], "wb") as f:
        f.write(data)
    print(f"{sys.argv[1]}: {len(data)} bytes, {len(FACTORS)} types")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
