"""A pytest plugin for llama-server's own tests: their models are not downloaded, and what left_out.txt names is not run."""
import os
import pathlib
import sys

LEFT_OUT = pathlib.Path(__file__).with_name("left_out.txt")


def names_left_out():
    return [line.partition("\t")[0] for line in LEFT_OUT.read_text().splitlines() if line and not line.startswith("#")]


def is_of(test, name):
    return test == name or test.startswith((f"{name}::", f"{name}["))


def pytest_configure(config):
    sys.path.insert(0, os.getcwd())
    import utils
    utils.ServerPreset.load_all = staticmethod(lambda: None)


def pytest_collection_modifyitems(config, items):
    names = names_left_out()
    files = {item.nodeid.partition("::")[0] for item in items}
    unused = [name for name in names if name.partition("::")[0] in files and not any(is_of(item.nodeid, name) for item in items)]
    if unused and config.option.keyword == "":
        raise ValueError(f"left_out.txt names tests that do not exist: {', '.join(unused)}")
    left_out = [item for item in items if any(is_of(item.nodeid, name) for name in names)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
