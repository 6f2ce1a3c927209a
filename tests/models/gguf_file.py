"""Writing GGUF files from Python with numpy alone, and random weights in every block format.

The program has its own writer; this one is independent of it on purpose: what one misunderstands the other shows.
"""
import os
import struct

import numpy as np

U8, I8, U16, I16, U32, I32, F32_VALUE, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)

# name: number, columns per block, bytes per block, byte offsets of d and of dmin,
# standard deviation of random codes at d = 1, dmin / d for a mean of zero
TYPES = {
    "F32": (0, 1, 4, (), 1, 0), "F16": (1, 1, 2, (), 1, 0), "BF16": (30, 1, 2, (), 1, 0),
    "Q4_0": (2, 32, 18, (0,), 4.608, 0), "Q4_1": (3, 32, 20, (0, 2), 4.612, -7.5),
    "Q5_0": (6, 32, 22, (0,), 9.231, 0), "Q5_1": (7, 32, 24, (0, 2), 9.232, -15.5),
    "Q8_0": (8, 32, 34, (0,), 73.9, 0), "Q2_K": (10, 256, 84, (80, 82), 13.88, 1.5),
    "Q3_K": (11, 256, 110, (108,), 43.3, 0), "Q4_K": (12, 256, 144, (0, 2), 257.5, 7.5),
    "Q5_K": (13, 256, 176, (0, 2), 523.9, 15.5), "Q6_K": (14, 256, 210, (208,), 1360.6, 0),
    "IQ4_NL": (20, 32, 18, (0,), 67.3, 0), "IQ4_XS": (23, 256, 136, (0,), 1245.5, 0),
}


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def _scalar(kind, value):
    formats = {U8: "<B", I8: "<b", U16: "<H", I16: "<h", U32: "<I", I32: "<i", F32_VALUE: "<f", BOOL: "<?",
               U64: "<Q", I64: "<q", F64: "<d"}
    return text(value) if kind == STRING else struct.pack(formats[kind], value)


def entry(key, kind, value):
    """One metadata entry; an array is given as (element kind, values)."""
    out = text(key) + struct.pack("<I", kind)
    if kind != ARRAY:
        return out + _scalar(kind, value)
    element, values = value
    return out + struct.pack("<IQ", element, len(values)) + b"".join(_scalar(element, v) for v in values)


def row_type(kind, columns):
    """kind, or F16 where the columns are no whole blocks of it (Q8_0 for K types where that fits)."""
    for candidate in (kind, "Q8_0"):
        if columns % TYPES[candidate][1] == 0:
            return candidate
    return "F16"


def tensor_size(kind, columns, rows):
    _, block, size, *_ = TYPES[kind]
    return columns * rows // block * size


def random_weights(rng, kind, columns, rows, deviation):
    """Bytes of a rows x columns matrix of zero mean: any codes and scales, factors that give the deviation."""
    _, block, size, factors, unit, ratio = TYPES[kind]
    count = columns * rows // block
    if block == 1:
        values = rng.standard_normal(count, np.float32) * np.float32(deviation)
        if kind == "F16":
            return values.astype("<f2").tobytes()
        if kind == "BF16":
            return ((values.view("<u4") + 0x8000) >> 16).astype("<u2").tobytes()
        return values.astype("<f4").tobytes()
    blocks = rng.integers(0, 256, (count, size), np.uint8)
    d = (deviation / unit * rng.uniform(0.7, 1.3, count)).astype("<f2")
    blocks[:, factors[0] : factors[0] + 2] = d.view(np.uint8).reshape(count, 2)
    if len(factors) == 2:
        least = (d.astype(np.float32) * ratio).astype("<f2")
        blocks[:, factors[1] : factors[1] + 2] = least.view(np.uint8).reshape(count, 2)
    return blocks.tobytes()


def write(path, entries, tensors, alignment=32, version=3):
    """entries: bytes from entry(). tensors: (name, dims, type name, function, bytes or None); functions are called one after
    the other, so that only one tensor is in memory. None is a hole in the file: zeros that take no room."""
    descriptions, offset = [], 0
    for name, dims, kind, _ in tensors:
        descriptions.append(text(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims)
                            + struct.pack("<IQ", TYPES[kind][0], offset))
        rows = int(np.prod(dims[1:], dtype=np.int64)) if len(dims) > 1 else 1
        offset += -(-tensor_size(kind, dims[0], rows) // alignment) * alignment
    with open(path, "wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries)))
        file.write(b"".join(entries) + b"".join(descriptions))
        for _, dims, kind, data in tensors:
            file.write(b"\0" * (-file.tell() % alignment))
            if data is None:
                file.seek(tensor_size(kind, dims[0], int(np.prod(dims[1:], dtype=np.int64))), os.SEEK_CUR)
            else:
                file.write(data() if callable(data) else data)
        file.truncate(file.tell() + -file.tell() % alignment)


def model_entries(arch, name, *, layers, hidden, ffn, heads, kv_heads, head_dim, vocabulary, context, rope_base,
                  epsilon=1e-6, key_length=False, file_type=None):
    """The metadata that describes a model's shape."""
    numbers = {"block_count": layers, "context_length": context, "embedding_length": hidden,
               "feed_forward_length": ffn, "attention.head_count": heads, "attention.head_count_kv": kv_heads,
               "rope.dimension_count": head_dim, "vocab_size": vocabulary}
    if key_length:
        numbers |= {"attention.key_length": head_dim, "attention.value_length": head_dim}
    out = [entry("general.architecture", STRING, arch), entry("general.name", STRING, name)]
    out += [entry(f"{arch}.{key}", U32, value) for key, value in numbers.items()]
    out += [entry(f"{arch}.rope.freq_base", F32_VALUE, rope_base),
            entry(f"{arch}.attention.layer_norm_rms_epsilon", F32_VALUE, epsilon)]
    if file_type is not None:
        out += [entry("general.file_type", U32, file_type), entry("general.quantization_version", U32, 2)]
    return out


def tokenizer_entries(pre, tokens, types, merges, *, bos, eos, pad, add_bos=False, template=None):
    out = [entry("tokenizer.ggml.model", STRING, "gpt2"), entry("tokenizer.ggml.pre", STRING, pre),
           entry("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
           entry("tokenizer.ggml.token_type", ARRAY, (I32, types)),
           entry("tokenizer.ggml.merges", ARRAY, (STRING, merges)),
           entry("tokenizer.ggml.bos_token_id", U32, bos), entry("tokenizer.ggml.eos_token_id", U32, eos),
           entry("tokenizer.ggml.padding_token_id", U32, pad), entry("tokenizer.ggml.add_bos_token", BOOL, add_bos)]
    if template is not None:
        out.append(entry("tokenizer.chat_template", STRING, template))
    return out


def split(path, count, name="model"):
    """Writes the model as llama.cpp's gguf-split does: `count` files beside it, the first with the metadata. Their paths."""
    data = path.read_bytes()
    entries, tensors, begin = read_header(data)
    parts = [tensors[len(tensors) * i // count : len(tensors) * (i + 1) // count] for i in range(count)]
    paths = []
    for i, part in enumerate(parts):
        own = [entry("split.no", U16, i), entry("split.count", U16, count), entry("split.tensors.count", I32, len(tensors))]
        paths.append(path.parent / f"{name}-{i + 1:05}-of-{count:05}.gguf")
        write(paths[-1], (entries if i == 0 else []) + own,
              [(name.decode(), dims, kind, data[begin + offset : begin + offset + size])
               for name, dims, kind, offset, size in part])
    return paths


def read_header(data):
    """Bytes of each metadata entry, (name, dims, type name, offset, size) of each tensor, and where the data begin."""
    _, _, n_tensors, n_entries = struct.unpack_from("<4sIQQ", data)
    at, names = 24, {number: name for name, (number, *_) in TYPES.items()}
    sizes = {U8: 1, I8: 1, U16: 2, I16: 2, U32: 4, I32: 4, F32_VALUE: 4, BOOL: 1, U64: 8, I64: 8, F64: 8}

    def skip_text(at):
        return at + 8 + struct.unpack_from("<Q", data, at)[0]

    def skip_value(at, kind):
        if kind == STRING:
            return skip_text(at)
        if kind != ARRAY:
            return at + sizes[kind]
        element, count = struct.unpack_from("<IQ", data, at)
        at += 12
        for _ in range(count):
            at = skip_value(at, element)
        return at

    entries, tensors = [], []
    for _ in range(n_entries):
        start = at
        at = skip_text(at)
        at = skip_value(at + 4, struct.unpack_from("<I", data, at)[0])
        entries.append(data[start:at])
    for _ in range(n_tensors):
        start, at = at + 8, skip_text(at)
        name, (n,) = data[start:at], struct.unpack_from("<I", data, at)
        dims = struct.unpack_from(f"<{n}Q", data, at + 4)
        kind, offset = struct.unpack_from("<IQ", data, at + 4 + 8 * n)
        at += 4 + 8 * n + 12
        rows = int(np.prod(dims[1:], dtype=np.int64)) if n > 1 else 1
        tensors.append((name, dims, names[kind], offset, tensor_size(names[kind], dims[0], rows)))
    return entries, tensors, -(-at // 32) * 32
