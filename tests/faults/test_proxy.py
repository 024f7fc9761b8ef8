"""The proxy itself: what a network that stood still delivers."""

import contextlib
import socket

import pytest

from faults.proxy import LINGER_0, Loop, Proxy
from support.waiting import wait_until


@contextlib.contextmanager
def connected():
    """A proxy between a client and a server: (proxy, client's socket, server's socket)."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        proxy = Proxy(Loop(), listener.getsockname())
        stack.callback(proxy.close)
        client = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), 20))
        server = stack.enter_context(listener.accept()[0])
        server.settimeout(20)
        client.sendall(b"before ")
        assert server.recv(100) == b"before "
        yield proxy, client, server


def test_what_came_before_an_orderly_close_goes_on_later():
    with connected() as (proxy, client, server):
        proxy.stall()
        client.sendall(b"meanwhile")
        client.close()
        proxy.heal()
        assert server.recv(100) == b"meanwhile"
        assert server.recv(100) == b""


def test_what_came_before_a_reset_is_dropped():
    with connected() as (proxy, client, server):
        proxy.stall()
        client.sendall(b"meanwhile")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
        client.close()
        wait_until(lambda: proxy.dropped, 20, "the proxy hears of the reset")
        proxy.heal()
        with pytest.raises(ConnectionResetError):
            server.recv(100)
