"""What is a record of its own, where the id in its value does not say so.

A producer's duplicate has the id of its original. By identity `sequence` or `event-id` it is the same
record, and must have no effect of its own. By `offset` it is another record, which must be delivered
once. By `version` it is delivered where its number is the highest of its key so far (another record of
the same version cannot be told from it), and dropped as stale where a higher one came before it."""

from support import checker


def place(line):
    return line["topic"], line["p"], line["o"]


class Names:
    """Of what was acknowledged: another name for each duplicate, and which of them are stale."""

    def __init__(self, acked):
        self.names, self.stale = {}, {}
        highest, seen = {}, set()
        for line in sorted((line for line in acked if "error" not in line), key=place):
            record_id = line["id"]
            key, *rank = checker.split_id(record_id)
            if record_id in seen:
                self.names[place(line)] = "%s/again/%d" % (record_id, line["o"])
                if rank < highest[key]:
                    self.stale[place(line)] = self.names[place(line)]
            seen.add(record_id)
            highest[key] = max(highest.get(key, [-1, -1]), rank)

    def of(self, line):
        return line.get("id") if "error" in line else self.names.get(place(line), line["id"])

    def of_call(self, line):
        """The same for a request, which names the place that its record had in the source topic."""
        where = (line.get("topic"), int(line.get("p") or -1), int(line.get("o") or -1))
        return self.names.get(where, line["id"])

    def needless(self, _line):
        """Whether it needs no effect."""
        return False


class Versions(Names):
    def needless(self, line):
        return "error" not in line and place(line) in self.stale
