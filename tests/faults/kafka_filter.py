"""Errors in Kafka's own answers: a filter for the proxy that changes the error codes of commits and
produces, on their way back from a real broker.

By default the broker has executed the request: the answer lies ("timeout after append"). With
refused=True it has not: the request is spoilt on its way (a batch's checksum, a commit's generation),
so that the broker refuses it, and only the reason that it names is changed. Of how many records a
changed answer told is counted, from its request. Fields of the two answers, as their versions with
tagged fields have them (OffsetCommit 8 and 9, Produce 9 and 10; librdkafka 2.8 asks for these).
What it cannot read it passes on, and counts in `unread`."""

import struct
import threading

PRODUCE, OFFSET_COMMIT = 0, 8
COUNT_AT = 57  # the number of records in a batch
CRC_AT = 17
FLEXIBLE = {PRODUCE: (9, 10, 11), OFFSET_COMMIT: (8, 9)}


class Unread(Exception):
    pass


class Fields:
    """Walks over a message; positions of what is to be changed are noted by the caller."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def skip(self, count):
        self.at += count
        if self.at > len(self.data):
            raise Unread

    def varint(self):
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.skip(1)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def number(self):
        self.skip(4)
        return struct.unpack_from(">i", self.data, self.at - 4)[0]

    def text(self):
        """A compact string, null or not."""
        size = self.varint()
        begin = self.at
        self.skip(max(0, size - 1))
        return bytes(self.data[begin:self.at]).decode("latin-1")

    def tags(self):
        for _ in range(self.varint()):
            self.varint()
            self.skip(self.varint())


def error_places(api, data):
    """(topic, position of the error code) of each partition of an answer, after its length."""
    fields = Fields(data)
    fields.skip(4)  # correlation id
    fields.tags()
    if api == OFFSET_COMMIT:
        fields.skip(4)  # throttle time
    for _ in range(fields.varint() - 1):
        topic = fields.text()
        for _ in range(fields.varint() - 1):
            fields.skip(4)
            yield topic, fields.at
            fields.skip(2)
            if api == PRODUCE:
                fields.skip(24)
                for _ in range(fields.varint() - 1):  # errors of single records
                    fields.skip(4)
                    fields.text()
                    fields.tags()
                fields.text()
            fields.tags()
        fields.tags()


def produced(data, at):
    """{(topic, partition): (records, where its checksum is)} of a Produce request, from behind its
    client id."""
    fields = Fields(data, at)
    fields.tags()
    fields.text()  # transactional id
    fields.skip(6)  # acks, timeout
    batches = {}
    for _ in range(fields.varint() - 1):
        topic = fields.text()
        for _ in range(fields.varint() - 1):
            partition = fields.number()
            size = fields.varint() - 1
            count = struct.unpack_from(">i", data, fields.at + COUNT_AT)[0]
            batches[(topic, partition)] = (count, fields.at + CRC_AT)
            fields.skip(size)
            fields.tags()
        fields.tags()
    return batches


def generation_place(data, at):
    """Where an OffsetCommit request names its generation, from behind its client id."""
    fields = Fields(data, at)
    fields.tags()
    fields.text()  # group
    return fields.at


class Injection:
    """done: answers that were changed; records: of how many records they told."""

    def __init__(self, api, code, times, topic, client, refused):
        self.api, self.code, self.left, self.topic, self.client = api, code, times, topic, client
        self.refused = refused
        self.done = self.records = 0

    def is_for(self, api, client):
        return self.left > 0 and self.api == api and client.startswith(self.client)


class Asked:
    """A request whose answer is awaited; spoilt: by which injection."""

    def __init__(self, api, version, client):
        self.api, self.version, self.client = api, version, client
        self.batches, self.spoilt = {}, None


class KafkaFilter:
    """One for all links of a proxy or of several."""

    def __init__(self):
        self.lock = threading.Lock()
        self.injections = []
        self.unread = self.executed = 0  # executed: although it was spoilt

    def inject(self, api, code, times, topic="", client="", refused=False):
        """The next `times` answers of that kind say `code`, for topics that begin with `topic` (or
        one of several, in a tuple)."""
        injection = Injection(api, code, times, topic, client, refused)
        with self.lock:
            self.injections = [i for i in self.injections if i.left > 0] + [injection]
        return injection

    # What the proxy calls, with whole messages

    def request(self, awaited, frame):
        """The message, maybe spoilt."""
        api, version, correlation, size = struct.unpack_from(">hhih", frame)
        begin = 10 + max(0, size)
        if api not in FLEXIBLE:
            return frame
        asked = Asked(api, version, bytes(frame[10:begin]).decode("latin-1"))
        awaited[correlation] = asked
        if version not in FLEXIBLE[api]:
            return frame
        with self.lock:
            try:
                if api == PRODUCE:
                    asked.batches = produced(frame, begin)
                return self._spoil(asked, frame, begin)
            except (Unread, IndexError, struct.error):
                self.unread += 1
        return frame

    def _spoil(self, asked, frame, begin):
        injection = next((i for i in self.injections
                          if i.refused and i.is_for(asked.api, asked.client)), None)
        if injection is None:
            return frame
        changed = bytearray(frame)
        if asked.api == OFFSET_COMMIT:
            at = generation_place(frame, begin)
            struct.pack_into(">i", changed, at, struct.unpack_from(">i", frame, at)[0] + 1000)
            asked.spoilt = injection
        for (topic, _), (_, at) in asked.batches.items():
            if topic.startswith(injection.topic):
                changed[at] ^= 255
                asked.spoilt = injection
        return bytes(changed)

    def answer(self, awaited, frame):
        """The message, maybe changed."""
        asked = awaited.pop(struct.unpack_from(">i", frame)[0], None)
        if asked is None:
            return frame
        with self.lock:
            injection = asked.spoilt or next(
                (i for i in self.injections
                 if not i.refused and i.is_for(asked.api, asked.client)), None)
            if injection is None:
                return frame
            if asked.version not in FLEXIBLE[asked.api]:
                self.unread += 1
                return frame
            return self._change(injection, frame, asked)

    def _change(self, injection, frame, asked):
        changed = bytearray(frame)
        hits = records = 0
        try:
            for topic, at in error_places(injection.api, frame):
                if not topic.startswith(injection.topic):
                    continue
                if asked.spoilt and struct.unpack_from(">h", frame, at)[0] == 0:
                    self.executed += 1
                    continue
                struct.pack_into(">h", changed, at, injection.code)
                hits += 1
                partition = struct.unpack_from(">i", frame, at - 4)[0]
                records += asked.batches.get((topic, partition), (0, 0))[0]
        except (Unread, IndexError):
            self.unread += 1
            return frame
        if hits == 0:
            return frame
        injection.left -= 1
        injection.done += 1
        injection.records += records
        return bytes(changed)


class Framer:
    """Cuts one direction of a link into whole messages."""

    def __init__(self):
        self.rest = b""

    def cut(self, data):
        self.rest += data
        frames = []
        while len(self.rest) >= 4:
            size = struct.unpack_from(">i", self.rest)[0]
            if len(self.rest) < 4 + size:
                break
            frames.append(self.rest[4:4 + size])
            self.rest = self.rest[4 + size:]
        return frames


class Link:
    """The two directions of one connection through a filter."""

    def __init__(self, kafka_filter):
        self.filter = kafka_filter
        self.awaited = {}
        self.up, self.down = Framer(), Framer()

    def pass_on(self, side, data):
        framer, change = ((self.up, self.filter.request) if side == "up" else
                          (self.down, self.filter.answer))
        return b"".join(struct.pack(">i", len(frame)) + frame for frame in (
            change(self.awaited, frame) for frame in framer.cut(data)) if frame is not None)
