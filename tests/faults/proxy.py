"""A TCP proxy that misbehaves on demand, between any two parts.

Each direction ("up": from client to server, "down": back) is in one of these modes:

  pass     what comes is passed on, after delay_ms where that is set
  stall    nothing moves; what came meanwhile goes on later (a network that is away for a while), but
           not from an end that has reset since: its kernel has dropped it, the other end is reset
  swallow  what comes is thrown away (answers that never arrive); heal() resets such connections
  half     half of the next piece is passed on, then the connection is reset

reset() ends all connections by RST, refuse() also takes no new ones, heal() ends all of it. The
proxies of a run live in one thread of their own with an event loop; the calls here may come from any
thread and return when they have taken effect."""

import asyncio
import socket
import struct
import threading

from support.process import free_port

from faults.kafka_filter import Link

LINGER_0 = struct.pack("ii", 1, 0)


def _abort(writer):
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
        except OSError:
            pass
    writer.transport.abort()


class Loop:
    """The thread with the event loop, made on first use."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True, name="proxies").start()

    def call(self, coroutine, timeout=10):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)


class Proxy:
    """Listens on 127.0.0.1 for a target: (host, port), or the path of a socket."""

    def __init__(self, loop, target):
        self.loop = loop
        self.target = target
        self.port = free_port()
        self.links = set()
        self.mode = {"up": "pass", "down": "pass"}
        self.delay_ms = {"up": 0, "down": 0}
        self.spoilt = set()   # links that lost bytes: of no use any more
        self.dropped = set()  # (side, link): reset from that side while it stood still
        self.refused = False
        self.filter = None  # a KafkaFilter, for links that begin from then on
        self.loop.call(self._begin())

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port

    async def _begin(self):
        self.changed = asyncio.Event()
        await self._listen()

    async def _listen(self):
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _accept(self, reader, writer):
        if self.refused:
            _abort(writer)
            return
        try:
            if isinstance(self.target, str):
                far_reader, far_writer = await asyncio.open_unix_connection(self.target)
            else:
                far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            _abort(writer)
            return
        link = (writer, far_writer)
        self.links.add(link)
        through = Link(self.filter) if self.filter else None
        await asyncio.gather(self._pump("up", link, through, reader, far_writer),
                             self._pump("down", link, through, far_reader, writer))
        self.links.discard(link)
        self.spoilt.discard(link)
        self.dropped -= {("up", link), ("down", link)}

    async def _pump(self, side, link, through, reader, writer):
        """Reads at once and writes when due, so that a delay costs latency and not throughput."""
        queue = asyncio.Queue(256)
        task = asyncio.ensure_future(self._write(side, link, queue, writer))
        try:
            while data := await reader.read(65536):
                data = through.pass_on(side, data) if through else data
                if not data:
                    continue
                await queue.put((self.loop.loop.time() + self.delay_ms[side] / 1000, data))
        except OSError:
            if self.mode[side] == "stall":
                self.dropped.add((side, link))
        await queue.put((0, b""))
        await task

    async def _write(self, side, link, queue, writer):
        try:
            while True:
                due, data = await queue.get()
                while self.mode[side] == "stall":
                    await self.changed.wait()
                if (side, link) in self.dropped:
                    self._end(link)
                    break
                if not data:
                    break
                if due > self.loop.loop.time():
                    await asyncio.sleep(due - self.loop.loop.time())
                if self.mode[side] == "swallow":
                    self.spoilt.add(link)
                    continue
                if self.mode[side] == "half":
                    writer.write(data[:max(1, len(data) // 2)])
                    await writer.drain()
                    self._end(link)
                    break
                writer.write(data)
                await writer.drain()
            if link in self.links and not writer.is_closing():
                writer.close()
        except (OSError, RuntimeError):
            self._end(link)
        while not queue.empty():  # whoever still puts must not wait for ever
            queue.get_nowait()

    def _end(self, link):
        for writer in link:
            _abort(writer)

    async def _set(self, mode, delay_ms, sides):
        for side in sides:
            self.mode[side] = mode
            self.delay_ms[side] = delay_ms
        self._wake()

    def _wake(self):
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    async def _reset(self, links):
        for link in list(links):
            self._end(link)

    async def _refuse(self):
        self.refused = True
        await self._reset(self.links)

    async def _heal(self):
        self.refused = False
        await self._set("pass", 0, ("up", "down"))
        await self._reset(self.spoilt)

    # What a run does

    def delay(self, ms, sides=("up", "down")):
        self.loop.call(self._set("pass", ms, sides))

    def stall(self, sides=("up", "down")):
        self.loop.call(self._set("stall", 0, sides))

    def swallow(self, sides=("up", "down")):
        self.loop.call(self._set("swallow", 0, sides))

    def half(self, sides=("down",)):
        self.loop.call(self._set("half", 0, sides))

    def reset(self):
        self.loop.call(self._reset(self.links))

    def refuse(self):
        self.loop.call(self._refuse())

    def heal(self):
        self.loop.call(self._heal())

    def close(self):
        async def end():
            self.server.close()
            await self._set("pass", 0, ("up", "down"))
            await self._reset(self.links)
        self.loop.call(end())
