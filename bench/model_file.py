"""What a pass over a model must read and compute, from `smollm inspect`: the numbers behind every limit."""
import json
import subprocess

FLOAT_TYPES = {"F32", "F16", "BF16"}


class Model:
    def __init__(self, smollm, path, cache_type="f16"):
        text = subprocess.run([str(smollm), "inspect", str(path), "--json", "--tensors", "--cache-type", cache_type], check=True, capture_output=True,
                              text=True).stdout
        found = json.loads(text)
        tensors = {t["name"]: t for t in found["tensors"]}
        tied = "output.weight" not in tensors
        head = tensors["token_embd.weight" if tied else "output.weight"]
        # Of an embedding that is not the head, a pass reads the rows of its tokens: nothing.
        layers = [t for name, t in tensors.items() if name.startswith("blk.") and len(t["shape"]) == 2]
        self.types = sorted({t["type"] for t in layers + [head]})
        self.layer_bytes = sum(t["bytes"] for t in layers)
        self.head_bytes = head["bytes"]
        self.layer_macs = {True: 0, False: 0}  # by whether the weights are floats
        for t in layers:
            self.layer_macs[t["type"] in FLOAT_TYPES] += t["shape"][0] * t["shape"][1]
        self.head_macs = {True: 0, False: 0}
        self.head_macs[head["type"] in FLOAT_TYPES] = head["shape"][0] * head["shape"][1]
        self.attention_macs = 2 * found["layers"] * found["heads"] * found["head_length"]  # of a position
        self.kv_bytes = found["memory"]["kv_bytes_per_token"]

    @property
    def macs(self):
        """Of one generated token, without attention."""
        return sum(self.layer_macs.values()) + sum(self.head_macs.values())

    @property
    def bytes(self):
        """Read for one pass, without keys and values."""
        return self.layer_bytes + self.head_bytes

    def seconds(self, limits, tokens, logits, positions, sequences_bytes):
        """The least that a pass takes: reading and computing overlap. positions: sum over its tokens of what each attends
        to; sequences_bytes: of the keys and values that it reads."""
        floats = self.layer_macs[True] * tokens + self.head_macs[True] * logits + self.attention_macs * positions
        bytes_ = self.layer_macs[False] * tokens + self.head_macs[False] * logits
        compute = bytes_ / limits["int8"] + floats / limits["float"] if limits["int8"] and limits["float"] else 0
        return max((self.bytes + sequences_bytes) / limits["read"], compute)

    def decode_limit(self, limits, batch=1, depth=0, steps=1):
        """Tokens a second of `batch` sequences together."""
        middle = depth + (steps + 1) / 2
        return batch / self.seconds(limits, batch, batch, batch * middle, batch * middle * self.kv_bytes)

    def prefill_limit(self, limits, tokens, depth=0):
        """Tokens a second. The weights need to be read once only, whatever a program's chunks are."""
        positions = tokens * (depth + (tokens + 1) / 2)
        return tokens / self.seconds(limits, tokens, 1, positions, (depth + tokens) * self.kv_bytes)
