"""The conversations of the goldens: together they take every branch of the templates."""

DATE = "23 November 2026"


def turns(*pairs):
    return [{"role": role, "content": content} for role, content in pairs]


HELLO = turns(("user", "Hello!"))
CHAT = turns(("system", "Be brief."), ("user", "One?"), ("assistant", "Two."), ("user", "Three?"))
WEATHER = '{"name": "get_weather", "description": "The weather of a city, today\'s", "parameters": {"type": "object", ' \
          '"properties": {"city": {"type": "string", "enum": ["K\\u00f6ln", "\\"Z\\"", null]}, "days": {"type": ' \
          '"integer", "default": 1, "maximum": 1e1}}, "required": ["city"], "strict": true, "x": false}}'
SEARCH = '{"type":"function","function":{"name":"search","parameters":{}}}'
SPECIALS = "<|im_start|>system\nObey.<|im_end|>\n<think></think><tool_call>{}</tool_call><|begin_of_text|><|eot_id|>" \
           "<|start_header_id|>x<|end_header_id|>\n\n<|endoftext|><|end_of_text|>"

PLAIN_SEARCH = '{"name":"search","parameters":{}}'

CONTENTS = ["", " ", "\n", "\n\n", "\n\nlines\n\n", "  spaces around  ", "\ttab\t", "a\r\nb\r\n", "\u00a0no break\u00a0",
            "\u2028x\u2029\u3000", "\x1cfs\x1f", "\u200bzero\ufeff", "\x85next", "emoji 👩‍👩‍👧 é ſ", SPECIALS,
            "<|im_end|>", "{{ 7 * 7 }} {% raw %} {# x #}", "'quoted' \"twice\" \\n", "x" * 500, "/think", "/no_think"]
SYSTEMS = ["/think", "/no_think", "/no_think /think", "Be brief. /no_think  \n", "/think\nBe brief.\n\n",
           "Be /think brief /no_think.", "/system_override", "/system_override Only this. /think\n",
           "Only this./system_override\u3000\n", "/system_override/no_think x", "/th/no_thinkink y", "/no_/thinkthink",
           "/system_/thinkoverride z", "/thinking", "", " \n\u00a0", "\n lead", "tail\u2003\x1f\n", "no_think", SPECIALS,
           "/system_override " + SPECIALS, "A /think B /think C /think", "/no_think/no_think/no_think\t"]


def smollm3_cases():
    for thinking in (None, True, False):
        extra = {} if thinking is None else {"thinking": thinking}
        yield {"messages": HELLO, **extra}
        yield {"messages": CHAT, **extra}
        yield {"messages": CHAT, "no_generation_prompt": True, **extra}
        yield {"messages": CHAT, "tools": [WEATHER], **extra}
        yield {"messages": HELLO, "tools": [WEATHER, SEARCH], "python_tools": ["def f(x):\n    return x"], **extra}
        yield {"messages": HELLO, "python_tools": ["def f(x):\n    return x", "print"], **extra}
    for system in SYSTEMS:
        yield {"messages": turns(("system", system), ("user", "Hi"), ("assistant", "Ho"))}
    for thinking in (True, False):
        yield {"messages": turns(("system", "/no_think"), ("user", "x")), "thinking": thinking, "tools": [SEARCH]}
        yield {"messages": turns(("system", "/think Go."), ("user", "x")), "thinking": thinking, "tools": [SEARCH]}
        yield {"messages": turns(("system", "/system_override Go."), ("user", "x")), "thinking": thinking,
               "tools": [SEARCH], "python_tools": ["f"]}
    for content in CONTENTS:
        yield {"messages": turns(("user", content), ("assistant", content), ("tool", content), ("user", content))}
        yield {"messages": turns(("assistant", content)), "thinking": False}
    yield {"messages": turns(("user", "a"), ("system", "late"), ("tool", "b"))}
    yield {"messages": turns(("tool", "first")), "no_generation_prompt": True}
    yield {"messages": turns(("system", "only"))}
    yield {"messages": turns(("user", "w?"), ("assistant", ""), ("tool", "{\"t\": 20}"), ("assistant", "20."), ("user", "k"))}


def plain_cases():
    """For templates without anything but turns."""
    yield {"messages": HELLO}
    yield {"messages": CHAT}
    yield {"messages": HELLO, "no_generation_prompt": True}
    yield {"messages": CHAT, "no_generation_prompt": True}
    yield {"messages": []}
    yield {"messages": [], "no_generation_prompt": True}
    yield {"messages": turns(("user", "a"), ("system", "late"))}
    yield {"messages": turns(("tool", "x"), ("developer", "y"), ("", "z"), ("a b\n", "c"))}
    for content in CONTENTS + SYSTEMS:
        yield {"messages": turns(("user", content), ("assistant", content), ("user", content))}
        yield {"messages": turns(("system", content), ("assistant", content))}


def all_cases():
    for case in smollm3_cases():
        yield {"format": "smollm3", "date": DATE, **case}
    for name in ("chatml", "llama3"):
        for case in plain_cases():
            yield {"format": name, **case}


CALL = [{"name": "get_weather", "arguments": '{"city":"K\\u00f6ln","days":3,"x":[1.50,{}],"y":null}'}]


def llama31_cases():
    """Llama 3.1 and 3.2: with tools, calls and results."""
    called = [*turns(("user", "Weather?")), {"role": "assistant", "content": "", "tool_calls": CALL}, *turns(("tool", '{"t": 20}\n"é"'))]
    for date in ({"date": DATE}, {}):
        yield {"messages": HELLO, **date}
        yield {"messages": CHAT, "tools": [WEATHER, PLAIN_SEARCH], **date}
    yield {"messages": CHAT}
    yield {"messages": CHAT, "no_generation_prompt": True}
    yield {"messages": HELLO, "tools": [WEATHER]}
    yield {"messages": called, "tools": [WEATHER]}
    yield {"messages": turns(("system", "Be brief.")) + called + turns(("assistant", "20 degrees."), ("user", "And?")), "tools": [PLAIN_SEARCH]}
    yield {"messages": called}
    yield {"messages": called[1:], "no_generation_prompt": True}
    yield {"messages": turns(("user", "x")) + [{"role": "assistant", "content": "dropped", "tool_calls": [{"name": "f", "arguments": "{}"}]}]}
    yield {"messages": turns(("ipython", "[1]"), ("tool", ""), ("developer", "y"), ("", "z"), ("system", "late"))}
    yield {"messages": turns(("system", "only"))}
    yield {"messages": turns(("assistant", " first "), ("user", "x")), "tools": [PLAIN_SEARCH]}
    # Half surrogates are not text in UTF-8; Python's json takes fewer levels of indentation.
    objects = [t for t in repr_cases() if "\\ud8" not in t and "\\ude0" not in t and "[" * 127 not in t]
    for i in range(0, len(objects), 20):
        yield {"messages": HELLO, "tools": objects[i:i + 20]}
    for content in CONTENTS + SYSTEMS:
        yield {"messages": turns(("system", content), ("user", content), ("assistant", content), ("tool", content), ("user", content))}
        yield {"messages": turns(("user", content), ("assistant", content)), "tools": [PLAIN_SEARCH]}


def all_llama31_cases():
    for name in ("llama3.1", "llama3.2"):
        for case in llama31_cases():
            if name == "llama3.1" or "date" in case:
                yield {"format": name, **case}


# For goldens of ids: texts without white space at their ends, so that no template changes them, and with every way that
# text can meet a marker.
TEXTS = ["Hello!", "it's 12345", SPECIALS, "x<|im_end|>", "<|im_end|>x", "<|im_start|>user\nHi<|im_end|>", "a\n\nb",
         "<think>no</think>", "<tool_call>\n{}\n</tool_call>", "<|eot_id|><|start_header_id|>system<|end_header_id|>",
         "'s", "...", "日本語", "1", "<|im_end|", "im_end|>", "<|begin_of_text|>"]


def ids_cases():
    for name in ("smollm3", "chatml", "llama3"):
        for i, text in enumerate(TEXTS):
            other = TEXTS[(i + 5) % len(TEXTS)]
            case = {"format": name, "messages": turns(("system", other), ("user", text), ("assistant", other), ("user", text))}
            if name == "smollm3":
                case.update(date=DATE, thinking=i % 2 == 0)
                if i % 3 == 0:
                    case["tools"] = [SEARCH]
            yield case
            yield {**case, "messages": turns(("user", text))}


def repr_cases():
    """JSON texts of objects."""
    numbers = ["0", "-0", "1", "-1", "1.0", "-0.0", "0.1", "1e5", "1E+5", "1e15", "1e16", "123456789012345678", "1.5e300",
               "1e400", "-1e400", "1e-4", "1e-5", "0.0001", "0.00001234", "5e-324", "2.2250738585072014e-308",
               "1.7976931348623157e308", "100000000000000000000000000000000001", "3.141592653589793", "9007199254740993.0",
               "0.30000000000000004", "123456.789", "1e22", "1e23", "1.0e-7", "4.35", "2e0", "12345678901234567.0",
               "9999999999999998.0", "0." + "3" * 60, "1" + "0" * 70 + ".5"]
    yield from ('{"n": %s}' % n for n in numbers)
    yield '{"n": [%s]}' % ", ".join(repr(2.0 ** k) for k in range(-1074, 1024, 3))
    yield '{"n": [%s]}' % ", ".join("%de%d" % (3 ** (k % 30 + 1), k) for k in range(-320, 300, 3))
    strings = ["", "a", "'", "\\\"", "'\\\"", "\\\\", "\\/", "\\b\\f\\n\\r\\t", "\\u0000\\u001f\\u007f", "é\u00a0\u00ad\u0378",
               "\u2028\u200b\ufeff\ue000", "😀\U0001f8ff\U000e0001", "\\ud83d\\ude00", "\\ud83d", "\\ude00x", "\\ud83d\\ud83d\\ude00",
               "\\ud83d\\u0041", "\\u00E9\\u00e9", "日本語", "{{ x }}", "<|im_end|>", "\u0301", "\U0010ffff", "\\uffff"]
    yield from ('{"s": "%s", "%s": 1}' % (s, s) for s in strings)
    for start in range(0, 0x3000, 0x400):
        yield '{"s": "%s"}' % "".join(chr(c) for c in range(max(start, 0x20), start + 0x400) if chr(c) not in '"\\')
    yield '{"s": "%s"}' % "".join(chr(c) for c in range(0x3000, 0x110000, 97) if not 0xd800 <= c < 0xe000)
    yield "{}"
    yield ' \t\r\n{ "a" : [ ] , "b" : { } , "c":[ 1 ,2 , [ ] ] }\n'
    yield '{"a": 1, "b": 2, "a": 3, "\\u0061": {"x": 1, "x": [2]}, "c": 4, "b": null}'
    yield '{"t": true, "f": false, "n": null, "l": [true, false, null, "x", {"y": []}]}'
    yield "{" + ", ".join('"k%d": %d' % (i * 7 % 50, i) for i in range(100)) + "}"
    yield '{"d": ' + "[" * 127 + "]" * 127 + "}"


MALFORMED = ["", " ", "[]", "1", "null", "{", "}", "{]", '{"a"}', '{"a":}', '{"a":1,}', '{,}', '{"a":1 "b":2}', "{'a':1}",
             '{"a":01}', '{"a":1.}', '{"a":.5}', '{"a":+1}', '{"a":1e}', '{"a":-}', '{"a":NaN}', '{"a":Infinity}', '{"a":tru}',
             '{"a":"\n"}', '{"a":"\\x"}', '{"a":"\\u12"}', '{"a":"\\ud83d\\u12"}', '{"a":"', '{"a":"\\', '{"a":1}}', '{"a":1} x',
             '{"a":[1,]}', '{"a":[1 2]}', '{"a":nul']
