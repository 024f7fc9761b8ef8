"""Commits as the brokers saw them: each one that was accepted is held against what its sender had
been assigned in that generation of the group.

The account is the brokers' own log of requests and answers (kafka.log4j2.xml). A broker checks a
commit's generation, not whether the member owns the partition; so an accepted commit of a partition
that the member was not assigned is the mistake that nobody else would notice:

  unowned  accepted, and the partition is not in the member's assignment of that generation
  rewound  accepted, below an earlier accepted one of the same partition

What it cannot see: a commit whose answer the broker did not live to write down."""

import base64
import collections
import dataclasses
import json

MARK = b"Completed request:"


@dataclasses.dataclass
class Commit:
    time_ms: int
    generation: int
    member: str
    client: str
    topic: str
    partition: int
    offset: int


class Reader:
    """Big-endian fields of Kafka's consumer protocol."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, size):
        value = int.from_bytes(self.data[self.at:self.at + size], "big", signed=True)
        self.at += size
        return value

    def text(self):
        size = self.number(2)
        self.at += size
        return self.data[self.at - size:self.at].decode()


def partitions_of(assignment_b64):
    """The (topic, partition) pairs of a member's assignment."""
    data = base64.b64decode(assignment_b64)
    if not data:
        return set()
    reader = Reader(data)
    reader.number(2)
    return {(topic, reader.number(4)) for topic in (reader.text() for _ in range(reader.number(4)))
            for _ in range(reader.number(4))}


def read_requests(paths, group):
    """(time, request, answer, header) of one group's requests, in the order of time."""
    found = []
    for path in paths:
        with open(path, "rb") as file:
            for line in file:
                at = line.find(MARK)
                if at < 0 or b'"groupId":"%s"' % group.encode() not in line:
                    continue
                try:
                    body = json.loads(line[at + len(MARK):])
                except ValueError:  # half a line: the broker was killed while it wrote
                    continue
                found.append((int(line[:at]), body["request"], body["response"],
                              body["requestHeader"]))
    return sorted(found, key=lambda item: item[0])


def accepted(request, response):
    """(topic, partition, offset) of what a commit's answer took."""
    errors = {(topic["name"], part["partitionIndex"]): part["errorCode"]
              for topic in response["topics"] for part in topic["partitions"]}
    for topic in request["topics"]:
        for part in topic["partitions"]:
            if errors.get((topic["name"], part["partitionIndex"])) == 0:
                yield topic["name"], part["partitionIndex"], part["committedOffset"]


class Account:
    def __init__(self, paths, group):
        self.assigned = collections.defaultdict(set)  # (member, generation): partitions
        self.generations = []  # (time, generation, member, client, partitions)
        self.commits = []
        for time_ms, request, response, header in read_requests(paths, group):
            if header["requestApiKeyName"] == "SYNC_GROUP":
                self._sync(time_ms, request, response, header)
            elif header["requestApiKeyName"] == "OFFSET_COMMIT":
                self._commit(time_ms, request, response, header)

    def _sync(self, time_ms, request, response, header):
        if response["errorCode"] != 0:
            return
        parts = partitions_of(response["assignment"])
        self.assigned[request["memberId"], request["generationId"]] = parts
        self.generations.append((time_ms, request["generationId"], request["memberId"],
                                 header["clientId"], parts))

    def _commit(self, time_ms, request, response, header):
        for topic, partition, offset in accepted(request, response):
            self.commits.append(Commit(time_ms, request["generationIdOrMemberEpoch"],
                                       request["memberId"], header["clientId"], topic, partition,
                                       offset))

    def unowned(self):
        """A generation below 0 is an administrator's commit, with the group stopped."""
        return [commit for commit in self.commits if commit.generation >= 0 and
                (commit.topic, commit.partition) not in
                self.assigned[commit.member, commit.generation]]

    def rewound(self):
        """By generation first: within one, a partition has one member, and it sends one at a time."""
        highest, found = {}, []
        for commit in sorted(self.commits, key=lambda c: (c.generation, c.time_ms)):
            place = (commit.topic, commit.partition)
            if commit.generation >= 0 and commit.offset < highest.get(place, -1):
                found.append(commit)
            highest[place] = max(commit.offset, highest.get(place, -1))
        return found
