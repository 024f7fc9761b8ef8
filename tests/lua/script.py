"""A private redis-server and a small RESP client; the ledger's scripts as the build assembles them; the wire of apply_ops."""

import collections
import hashlib
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import model

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
LUA = os.path.join(ROOT, "lua")


class Redis:
    """A redis-server on a unix socket of its own directory; gone with `close`."""

    def __init__(self):
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if not program:
            raise FileNotFoundError("redis-server")
        self.dir = tempfile.mkdtemp(prefix="og-redis-")
        path = os.path.join(self.dir, "s")
        self.process = subprocess.Popen(
            [program, "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", self.dir],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.close()
                    raise
                time.sleep(0.01)
        self.reader = self.socket.makefile("rb", buffering=1 << 20)

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @staticmethod
    def encode(args):
        out = [b"*%d\r\n" % len(args)]
        for a in args:
            if not isinstance(a, bytes):
                a = str(a).encode()
            out.append(b"$%d\r\n%s\r\n" % (len(a), a))
        return b"".join(out)

    def call(self, *args):
        self.socket.sendall(self.encode(args))
        reply = self.reply()
        if isinstance(reply, Exception):
            raise reply
        return reply

    def pipeline(self, commands, at_once=200):
        """Replies of all commands; an error reply is an exception object in the list."""
        replies = []
        for i in range(0, len(commands), at_once):
            part = commands[i:i + at_once]
            self.socket.sendall(b"".join(self.encode(c) for c in part))
            replies += [self.reply() for _ in part]
        return replies

    def reply(self):
        line = self.reader.readline()
        if not line:
            raise ConnectionError("redis-server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.reader.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]
        return rest.decode() if kind == b"+" else RuntimeError(rest.decode())


def source(name):
    """The text of lua/<name>.lua with its includes, as it is embedded."""
    with open(os.path.join(LUA, name + ".lua"), encoding="utf-8") as f:
        return assembled(f.read())


def assembled(text):
    def include(match):
        with open(os.path.join(LUA, "include", match.group(1) + ".lua"), encoding="utf-8") as part:
            return part.read().rstrip("\n")
    return re.sub(r"(?m)^--@include (\w+)$", include, text)


# -- apply_ops: packing and answers ------------------------------------------------------------------------------------------

VERBS = {model.CLAIM: 1, model.SUCCEEDED: 2, model.GIVEN_UP: 3, model.PARKED: 4, model.RELEASE: 5, model.BLOCKING: 6}
SOURCES = {model.SOURCE: 0, model.TIER: 1, model.REDRIVE: 2}
KINDS = {model.SEQUENCE: 0, model.VERSION: 1, model.EVENT_ID: 2, model.OFFSET: 3, model.NONE: 4}
NAMES = {number: name for name, number in model.CODES.items()}
TTL = 10 ** 9
FREE, CLAIMED, KEEPING, NEW, WHOLE, APART = 16, 17, 18, 19, 20, 21
FORMS = {FREE: 42, CLAIMED: 62, KEEPING: 56, NEW: 49, WHOLE: None, APART: 7}    # the first byte of what stands in a bucket, and its length


def owner_hash(name):
    return hashlib.sha256(name.encode()).digest()[:8]


def source_of(topic, partition):
    """The 12 bytes that stand for a source partition in ranks."""
    return hashlib.sha256(topic.encode()).digest()[:8] + struct.pack(">I", partition)


def has_buckets(scope):
    """Whether states of the scope stand in a bucket: as the gateway has it, and to see more also in half of the other ordered ones."""
    return scope.ordered and (scope.name == model.SEQUENCE or scope.cap > 2)


def bucket_of(prefix, scope):
    """All keys of a history in one."""
    return f"{prefix}:b:{scope.name}"


def keys_of(prefix, scope, key):
    """What a script about one key takes: its keys, and its field."""
    names = [bucket_of(prefix, scope), f"{prefix}:k:{scope.name}:{key}", f"{prefix}:p:{scope.name}:{key}"]
    return names, f"={key}" if has_buckets(scope) else ""


def forms_of(redis, prefix):
    """How the states in buckets stand there, by first byte, and their longest; foreign ones are left out."""
    forms, longest = collections.Counter(), 0
    for bucket in redis.call("KEYS", prefix + ":b:*"):
        for v in redis.call("HGETALL", bucket)[1::2]:
            if v[0] in FORMS and len(v) in (FORMS[v[0]], FORMS[v[0]] or len(v)):
                forms[v[0]] += 1
                longest = max(longest, len(v))
    return forms, longest


def pack_call(sha, prefix, ops, now):
    scopes, owners, keys, items = {}, {}, [f"{prefix}:fence"], []
    for op in ops:
        scope = scopes.setdefault(op.scope.name, (len(scopes) + 1, op.scope))[0]
        owner = owners.setdefault((op.owner, op.token), len(owners) + 1)
        flags = (op.observe * 1 | (op.ghost is not None and op.verb == model.CLAIM) * 2 | op.force * 4 | op.keep_claim * 8
                 | (op.verb in (model.SUCCEEDED, model.CLAIM)) * 16)
        if op.kind == model.EVENT_ID:
            identity = op.event_id
        else:
            identity = struct.pack(">QQ", op.epoch, op.number)
        x = op.lease if op.verb in (model.CLAIM, model.SUCCEEDED) else op.tier if op.verb in (model.PARKED, model.BLOCKING) else 0
        item = struct.pack(">BBBBB12sQIB16sII", VERBS[op.verb], flags, SOURCES[op.source], scope, owner, op.rank[1], op.offset,
                           op.leader_epoch + 1, KINDS[op.kind], identity, op.hop, x)
        if op.verb in (model.PARKED, model.BLOCKING):
            item += struct.pack(">Q", op.copy_offset)
        elif flags & 2:
            item += struct.pack(">IQ", *op.ghost)
        names, field = keys_of(prefix, op.scope, op.key)
        items += [item, field] if field else [item]
        keys += names if field else names[1:]
        if op.kind == model.EVENT_ID:
            keys.append(f"{prefix}:i:{op.scope.name}:{op.key}:{op.event_id.hex()}")
        if op.source == model.REDRIVE:
            keys.append(f"{prefix}:r:{op.scope.name}:{op.redrive_id}:{op.offset}:{op.rank[1].hex()}")
    head = struct.pack(">BBBBQ", 1, 1, len(scopes), len(owners), now)
    scope_lines = [struct.pack(">BQQI", s.ordered + 2 * has_buckets(s), TTL, s.ghost_ttl, s.cap) for _, s in scopes.values()]
    owner_lines = [struct.pack(">B8sQ", 1, owner_hash(n), t) + n.encode() for n, t in owners]
    return ["EVALSHA", sha, len(keys), *keys, head, *scope_lines, *owner_lines, *items]


def unpack_answers(reply, count):
    """The script's integers as the model's answers."""
    out, i = [], 0
    for _ in range(count):
        a = reply[i]
        i += 1
        busy = reply[i] if a >> 44 & 1 else 0
        i += a >> 44 & 1
        head = None
        if a >> 43 & 1:
            head = (reply[i], reply[i + 1], bool(a >> 42 & 1))
            i += 2
        kept = reply[i][0] == KEEPING if a >> 45 & 1 else None
        i += a >> 45 & 1
        out.append(model.Answer(NAMES[a & 31], NAMES[a >> 5 & 31], busy, head, a >> 10 & 0xFFFFFFFF, kept,
                                bool(a >> 46 & 1)))
    if i != len(reply):
        raise ValueError(f"{len(reply)} integers for {count} items")
    return out


# -- swap_states: claims that know no state ----------------------------------------------------------------------------------

CLAIMED_BEHIND, CLAIMED_FIRST = 2, 3


def is_small_claim(op):
    """Whether a gateway that knows nothing of the key asks swap_states: src/ledger/swap.c."""
    return (op.verb == model.CLAIM and op.source == model.SOURCE and op.kind == model.SEQUENCE and op.scope.ordered
            and op.scope.name == model.SEQUENCE and not op.observe and op.ghost is None and op.leader_epoch + 1 < 2**24
            and max(op.epoch, op.number, op.offset, op.token) < 2**48)


def pack_claims(sha, prefix, ops, now):
    owners = {}
    keys, items = [f"{prefix}:fence"], []
    for op in ops:
        owner = owners.setdefault((op.owner, op.token), len(owners) + 1)
        names, field = keys_of(prefix, op.scope, op.key)
        six = {name: struct.pack(">Q", getattr(op, name))[2:] for name in ("epoch", "number", "offset", "token")}
        keys.append(names[0])
        items += [struct.pack(">BBI", 1, owner, op.lease), field,
                  b"\0" + six["epoch"] + six["number"] + op.rank[1][:8] + op.rank[1][10:] + struct.pack(">I", op.leader_epoch + 1)[1:],
                  six["offset"] + owner_hash(op.owner) + six["token"]]
    owner_lines = [struct.pack(">BQ", 1, t) + n.encode() for n, t in owners]
    return ["EVALSHA", sha, len(keys), *keys, struct.pack(">BBBBQ", 1, 1, 1, len(owners), now), struct.pack(">Q", TTL), *owner_lines, *items]


def unpack_claims(reply, count):
    """Of each claim (how it was granted, the state that stood there, or None), or nothing."""
    answers, states, out = reply[8:8 + count], reply[8 + count:], []
    for how in answers:
        if how == CLAIMED_BEHIND:
            out.append((how, states[:FORMS[FREE]]))
            states = states[FORMS[FREE]:]
        else:
            out.append((how, None) if how == CLAIMED_FIRST else ())
    if states or len(answers) != count:
        raise ValueError(f"{len(reply)} bytes for {count} claims")
    return out
