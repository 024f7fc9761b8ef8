"""The table of commands as people and shells see it: help, wrong words, completion, manual pages."""

import os
import re
import subprocess

import pytest

from support import needs
from support.gateway import command

LATER = {"retry", "offsets", "doctor"}


def commands():
    """Names of the commands as --help lists them."""
    told = command("--help", check=0).stdout
    return re.findall(r"^  ([a-z]+) +\S", told, re.M)


def verbs(name):
    """Verbs of a command as its --help lists them; [] where it has none."""
    told = command(name, "--help", check=0).stdout
    section = re.search(r"^Verbs:\n((?:  .*\n| {3,}.*\n)+)", told, re.M)
    return re.findall(r"^  ([a-z][a-z-]*)", section.group(1), re.M) if section else []


def every_place():
    return [(name,) for name in commands()] + [(name, verb) for name in commands()
                                               for verb in verbs(name)]


def test_every_command_and_verb_has_help(programs):
    """On stdout, exit 0, each with its usage line and a sentence; also behind what is wrong."""
    places_found = every_place()
    assert len(places_found) > 15
    for words in places_found:
        told = command(*words, "--help", check=0)
        assert told.stdout.startswith("Usage: oncegate " + " ".join(words)), told
        assert len(told.stdout.splitlines()[2]) > 8 and not told.stderr, told
        assert command("help", *words, check=0).stdout == told.stdout
        assert command(*words, "--no-such-thing", "-h", check=0).stdout == told.stdout
        assert all(len(line) < 101 for line in told.stdout.splitlines()), told.stdout


@pytest.mark.parametrize("words, meant", [
    (["ledgr"], "did you mean ledger?"),
    (["ledger", "gte", "a", "b", "c"], "did you mean get?"),
    (["check", "--conect"], "did you mean --connect?"),
    (["topics", "plan", "--detailed-exit-code"], "did you mean --detailed-exitcode?"),
    (["status", "--connect"], "an option of another command (`oncegate check`)"),
    (["topics", "--reason", "x", "plan"], "an option of another command (`oncegate route pause`)"),
    (["route", "resume", "x", "--seconds", "3"], "an option of another command (`oncegate demo`)"),
    (["check", "-c"], "a value is missing behind: -c"),
    (["check", "--connect=yes"], "takes no value: --connect"),
    (["check", "--connect", "--connect"], "given twice: --connect"),
    (["version", "-o", "xml"], "-o takes table|json|jsonl, not: xml"),
    (["topics", "plan", "--replication", "many"], "--replication takes a number, not: many"),
    (["ledger", "get", "orders"], "takes ROUTE TOPIC KEY, and 1 word is given"),
    (["config", "show", "more"], "nothing is expected behind it, and there is: more"),
    (["ledger"], "ledger takes get | release | reset | adopt"),
    (["run", "now"], "nothing is expected behind it"),
    (["doctor"], "not in this version"),
    (["route", "skip", "a/0/1"], "not in this version"),
    ([], "Usage: oncegate COMMAND"),
])
def test_wrong_words_are_refused_with_what_was_meant(programs, words, meant):
    told = command(*words, check=64)
    assert meant in told.stderr and not told.stdout, told


def test_words_behind_two_dashes_are_operands(programs):
    """A key may look like an option; before the dashes it is taken for one."""
    told = command("-c", "/nonexistent", "ledger", "get", "orders", "t", "--", "--key")
    assert told.returncode != 64, told
    assert "unknown option: --kkk" in command("ledger", "get", "orders", "t", "--kkk",
                                              check=64).stderr


def sourced(name, tmp_path):
    """The completion script as a file, accepted by the shell's own syntax check."""
    script = tmp_path / ("completion." + name)
    script.write_text(command("completion", name, check=0).stdout, encoding="utf-8")
    subprocess.run([needs.installed(name), "-n", str(script)], check=True, timeout=20)
    return script


def offered_by_bash(script, *words):
    code = """set -u; source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _oncegate
if [ ${#COMPREPLY[@]} -gt 0 ]; then printf '%s\\n' "${COMPREPLY[@]}"; fi
complete -p oncegate >&2"""
    done = subprocess.run(["bash", "--norc", "-c", code, "bash", str(script), "oncegate", *words],
                          capture_output=True, text=True, check=False, timeout=20,
                          cwd=script.parent)
    assert done.returncode == 0 and "_oncegate" in done.stderr, done
    return done.stdout.split("\n")[:-1]


def test_completion_in_bash(programs, tmp_path):
    script = sourced("bash", tmp_path)
    (tmp_path / "here.yaml").write_text("", encoding="utf-8")
    assert set(commands()) <= set(offered_by_bash(script, ""))
    assert offered_by_bash(script, "led") == ["ledger"]
    for name in commands():
        for verb in verbs(name):
            assert verb in offered_by_bash(script, name, "")
            told = command(name, verb, "--help").stdout
            options = set(re.findall(r"^  (--[a-z-]+)", told, re.M))
            assert options <= set(offered_by_bash(script, name, verb, "-")), (name, verb)
    assert offered_by_bash(script, "-o", "js") == ["json", "jsonl"]
    assert offered_by_bash(script, "ledger", "get", "-o", "=", "ta") == ["table"]
    assert offered_by_bash(script, "-c", "he") == ["here.yaml"]
    assert offered_by_bash(script, "-c", "here.yaml", "ledger", "ge") == ["get"]
    assert offered_by_bash(script, "check", "--conn") == ["--connect"]
    assert offered_by_bash(script, "topics", "plan", "--replication", "") == []
    assert not set(LATER) & set(offered_by_bash(script, ""))


def test_completion_in_zsh(programs, tmp_path):
    """Its own functions that show are replaced by ones that print what they are given. All that is
    asked is asked of one shell, since what makes it ready takes it a second."""
    script = sourced("zsh", tmp_path)
    code = """autoload -U compinit; compinit -u -D; source "$1"
_describe() { print -l -- ${(P)2} }; _arguments() { print -l -- "$@" }
while IFS= read -r asked; do
    words=("${(@s:|:)asked}"); CURRENT=$#words; _oncegate; print -- "by $_comps[oncegate]"
done"""
    asked = [("",), ("topics", "plan", "--"), ("check", "--"), *((name, "") for name in commands())]
    done = subprocess.run(["zsh", "-f", "-c", code, "zsh", str(script)], capture_output=True, text=True,
                          check=True, timeout=30,
                          input="".join("|".join(("oncegate", *words)) + "\n" for words in asked))
    answers = done.stdout.split("by _oncegate\n")
    assert answers.pop() == "" and len(answers) == len(asked) and not done.stderr, done
    offered = dict(zip(asked, answers))
    assert all(name + ":" in offered[("",)] for name in commands())
    for name in commands():
        assert all(verb + ":" in offered[(name, "")] for verb in verbs(name))
    assert "--replication=[" in offered[("topics", "plan", "--")]
    assert "(table json jsonl)" in offered[("check", "--")]


def test_completion_in_fish(programs, tmp_path):
    script = sourced("fish", tmp_path)
    def offered(line):
        done = subprocess.run(["fish", "--no-config", "-c", 'source $argv[1]; complete -C "$argv[2]"',
                               str(script), line], capture_output=True, text=True, check=True,
                              timeout=20, env={**os.environ, "HOME": str(tmp_path)})
        assert not done.stderr, done
        return [entry.split("\t")[0] for entry in done.stdout.splitlines()]
    assert set(commands()) <= set(offered("oncegate "))
    for name in commands():
        assert set(verbs(name)) <= set(offered("oncegate %s " % name)), name
    assert "--replication" in offered("oncegate topics plan --")
    assert offered("oncegate check -o js") == ["json", "jsonl"]


def test_manual_pages_have_no_warnings(programs, tmp_path):
    command("manual", tmp_path, check=0)
    pages = sorted(path.name for path in tmp_path.glob("*.1"))
    assert pages == sorted(["oncegate.1"] + ["oncegate-%s.1" % name for name in commands()])
    for name in commands():
        text = (tmp_path / ("oncegate-%s.1" % name)).read_text(encoding="utf-8")
        assert all(verb.replace("-", "\\-") in text for verb in verbs(name))
    needs.installed("groff")
    for page in tmp_path.glob("*.1"):
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-K", "utf8", str(page)],
                              capture_output=True, text=True, check=True, timeout=20)
        assert not done.stderr, done.stderr
        assert "EXIT STATUS" in re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)


def test_manual_into_a_folder_that_is_not_there(programs, tmp_path):
    assert str(tmp_path) in command("manual", tmp_path / "no", check=74).stderr
