"""What every script owes its reader: the first line, a header that names each KEYS and ARGV it uses, and the codes of the C enum."""

import os
import re

import pytest

import model
import script

SCRIPTS = sorted(f[:-4] for f in os.listdir(script.LUA) if f.endswith(".lua"))


def header(name):
    text = script.source(name).splitlines()
    lines = []
    for line in text[1:]:
        if not line.startswith("--"):
            break
        lines.append(line)
    return "\n".join(lines)


@pytest.mark.parametrize("name", SCRIPTS)
def test_header_of_script_is_complete(name):
    assert script.source(name).startswith("#!lua\n")
    for word in ("KEYS", "ARGV", "RETURNS", "COST", "CALLER"):
        assert re.search(rf"(?m)^-- {word}\b", header(name)), word


@pytest.mark.parametrize("name", SCRIPTS)
def test_header_of_script_names_each_index(name):
    code = re.sub(r"--[^\n]*", "", script.source(name))
    section = {}
    for line in header(name).splitlines():
        if m := re.match(r"-- ([A-Z]+)\b(.*)", line):
            word, section[m.group(1)] = m.group(1), m.group(2)
        elif section:
            section[word] += line[2:]
    for array in ("KEYS", "ARGV"):
        used = {int(n) for n in re.findall(rf"\b{array}\[(\d+)\]", code)}
        told = {int(n) for n in re.findall(r"\b(\d+)\b", section[array])}
        assert used <= told, f"{array}: used {used}, told {told}"
        if re.search(rf"\b{array}\b", code) is None:
            assert re.search(r"none|-", section[array]), f"{array} is told and not used"


def enum_of_header():
    with open(os.path.join(script.ROOT, "src", "ledger", "ledger.h"), encoding="utf-8") as f:
        return {name: int(number) for name, number in re.findall(r"\bLEDGER_([A-Z_]+) =\s*(\d+)", f.read())}


def test_codes_of_script_model_and_c_are_the_same():
    with open(os.path.join(script.LUA, "include", "codes.lua"), encoding="utf-8") as f:
        lua = {name: int(number) for name, number in re.findall(r"(?m)^    ([A-Z_]+) = (\d+),$", f.read())}
    c = {name: n for name, n in enum_of_header().items() if name in model.CODES}
    assert lua == model.CODES == c
