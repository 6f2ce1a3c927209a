"""Seeded strings that are hard on a tokenizer, made of the standard library alone.

The same strings come out of every Python 3.9 or later: nothing here asks what Unicode version Python knows, and
random.Random's random() has given the same numbers since Python 2.3.
"""
import random

SPACES = "\t\n\v\f\r \x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009" \
         "\u200a\u200b\u200c\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
DIGIT_STARTS = [0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
                0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
                0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066,
                0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11c50,
                0x11d50, 0x11da0, 0x16a60, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0]
OTHER_NUMBERS = "²³¹¼½¾৴௰൰༪፩፲ᛮ៰᠀⁰⁴₀⅐⅓ⅠⅧⅻↀↈ①⑳⒈⓪❶➓⳽〇〡〩㆒㈠㊀㋀㍘㏠零一五十百千万億兆ꠀ꠰𐄇𐅀𐆊𐋡𐌠𐏑𐡘𐤖𐩀𑁒𑿀𒐀𖹀𝍠𞣇𞱱🄀🄌"
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'T", "'RE", "'Ve", "'vE", "'M", "'LL", "'lL", "'D",
                "'\u017f", "\u2019s", "'l", "'r", "'v", "''", "'", "'\u212a", "'\u00df", "'x", "'st", "'dont", "'\ufb05"]
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "👨🏿‍🚀", "🏳️‍🌈", "🏴‍☠️", "🇩🇪", "🇫🇷🇬🇧", "1️⃣", "#️⃣", "❤️", "❤", "☺︎", "🧑🏻‍❤️‍💋‍🧑🏾", "🫠", "🪿", "🫨",
         "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", "‼️", "©️", "〰️", "🀄", "🃏"]
WORDS = """the of and to in is that it was for on are with as his they at be this from have or by one had not but what all
were when we there can an your which their said if do will each about how up out them then she many some so these would
other into has more her two like him see time could no make than first been its who now people my made over did down only
way find use may water long little very after words called just where most know internationalization Pneumonoultramicro
Straße naïve façade coöperate Übermensch ﬁnance ǅungla İstanbul ısı Ελλάδα Москва Україна שלום مرحبا नमस्ते สวัสดี 你好 世界 こんにちは
カタカナ 안녕하세요 Việt ภาษาไทย ქართული հայերեն አማርኛ ᏣᎳᎩ ខ្មែរ မြန်မာ తెలుగు தமிழ் தமிழ் ꦗꦮ 𐍈 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ĳ ß ſ ʼn ŉ ǰ ΐ""".split()
CODE = ["def f(x):\n    return x**2\n", "for (int i=0;i<n;i++)\n\t{\n\t\ta[i] += 1;\r\n\t}", "#include <stdio.h>\n\n\n",
        "x = {'a': 1, \"b\": [2,3.14e-10]}", "https://example.org/a?b=c&d=%20#e", "user@example.org", "<div class=\"x\">",
        "$ ls -la | grep '^d'", "\\frac{a}{b}", "```c\n```", "0xDEADBEEF", "1,234,567.89", "2026-11-23T20:36:00Z",
        "----------", "======", "...", "!!!???", "()[]{}<>", "aGVsbG8gd29ybGQ=", "\\u0041\\n", "C:\\Temp\\new",
        "    ", "        ", "\n\n", "\n \n", " \n ", "\r\n\r\n", "\t\t"]
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>",
           "<|start_header_id|>", "<|end_header_id|>", "<think>", "</think>", "<tool_call>", "</tool_call>", "<repo_name>",
           "<|im_start|", "<|im_", "<|", "|>", "im_end|>", "<|<|im_end|>|>", "<|reserved_special_token_1|>",
           "<|reserved_special_token_10|>", "<file_sep>", "<filename>"]


class Source:
    def __init__(self, seed):
        self.random = random.Random(seed).random

    def below(self, n):
        return int(self.random() * n)

    def pick(self, items):
        return items[self.below(len(items))]

    def code_point(self):
        """One from all of Unicode, most from where scripts are."""
        while True:
            r = self.below(10)
            c = self.below(0x250) if r == 0 else self.below(0x3000) if r < 5 else self.below(0x10000) if r < 7 else \
                0x10000 + self.below(0x10000) if r < 9 else self.below(0x110000)
            if not 0xD800 <= c < 0xE000:
                return chr(c)

    def block(self):
        """A few characters that are neighbors in Unicode: mostly of one script."""
        start = self.below(0x32000) & ~0x1f
        while 0xD7E0 <= start < 0xE000:
            start = self.below(0x32000) & ~0x1f
        return "".join(chr(start + self.below(0x20)) for _ in range(1 + self.below(8)))

    def marks(self):
        marks = [chr(0x300 + self.below(0x70)) for _ in range(self.below(6))]
        marks += [self.pick("\u0483\u0591\u064b\u093c\u0941\u0e31\u20d0\u20e3\ufe0f\u302a\u3099\U0001d165")]
        return self.pick("aeZé1 -ก\u0915") + "".join(marks)

    def digits(self):
        return "".join(self.pick(OTHER_NUMBERS) if self.below(4) == 0 else chr(self.pick(DIGIT_STARTS) + self.below(10))
                       if self.below(3) == 0 else chr(0x30 + self.below(10)) for _ in range(1 + self.below(9)))

    def piece(self):
        kind = self.below(15)
        if kind == 0:
            return "".join(self.pick(SPACES) for _ in range(1 + self.below(7)))
        if kind == 1:
            return self.digits()
        if kind == 2:
            return self.pick(["it", "IT", "é", " ", "1", "", "_", "\n"]) + self.pick(CONTRACTIONS) + self.pick(
                ["", " ", "s", "x", "é", "1", "\u0301", "'s"])
        if kind == 3:
            return self.pick(EMOJI)
        if kind == 4:
            return self.marks()
        if kind == 5:
            return self.block()
        if kind == 6:
            return "".join(self.code_point() for _ in range(1 + self.below(5)))
        if kind == 7:
            return self.pick(CODE)
        if kind == 8:
            return self.pick(SPECIAL)
        if kind == 9:
            return chr(self.below(0x20)) if self.below(2) else chr(0x7f + self.below(0x22))
        if kind == 10:
            return self.pick("aA=-_.1 \n\té\u4e00\U0001f600") * (1 + self.below(40))
        if kind == 11:
            return "".join(chr(0x20 + self.below(0x5f)) for _ in range(1 + self.below(12)))
        word = self.pick(WORDS)
        word = word.upper() if self.below(8) == 0 and word.isascii() else word
        return self.pick(["", " ", " ", " ", "  ", "\n", "\t", "\u3000"]) + word + self.pick(["", "", ",", ".", "!\n", "'s"])

    def string(self):
        return "".join(self.piece() for _ in range(1 + self.below(10)))


def hostile_strings(count, seed=20261123):
    source = Source(seed)
    return [source.string() for _ in range(count)]


def code_point_strings():
    """Every code point of the planes in use, and of the others a few, each beside a letter, a digit and white space:
    one string for 256 of them."""
    pages = list(range(0, 0x340)) + list(range(0xE00, 0xE04)) + list(range(0x340, 0x1100, 0x3f))
    for page in pages:
        if 0xD8 <= page < 0xE0:
            continue
        yield page, "".join("a%c1 %c\n" % (c, c) for c in range(page * 256, page * 256 + 256))
