"""What schemathesis has to be told of the API: how a body of JSON lines is sent. Loaded by it, as
SCHEMATHESIS_HOOKS."""

import schemathesis  # pylint: disable=import-error


@schemathesis.serializer("application/x-ndjson")
def as_it_is(_, value):
    """Text of any kind: that it is no lines is for the console to say."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
