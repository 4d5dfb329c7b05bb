"""An S3 server on loopback, and a wire to it that can be cut, gone silent on, or made to lose replies."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import threading
import time
import urllib.request

_SERVE = """
import sys, logging
logging.getLogger("werkzeug").setLevel(logging.ERROR)
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class Server:
    """moto_server in a process of its own, with the buckets that are asked for."""

    def __init__(self, *buckets: str) -> None:
        command = [sys.executable, "-c", _SERVE]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        for bucket in buckets:
            self.ask(f"/{bucket}", "PUT")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, method: str = "GET") -> str:
        """One request without credentials; the answer's text."""
        request = urllib.request.Request(self.url + path, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever proxy the machine has
        with opener.open(request, timeout=20) as answer:
            return str(answer.read().decode())

    def close(self) -> None:
        with self._process as process:
            process.kill()


class Wire:
    """A port of its own that leads to a server, as long as `mode` is "through".

    "cut": connections are refused, those there are end. "silent": connections are taken, and nothing comes back.
    "lose": requests arrive, and instead of each reply the connection ends. "answer": `reply` instead of the server's.
    """

    def __init__(self, port: int = 0) -> None:
        self._to, self.mode, self.reply = port, "through", b""
        self.delay = 0.0  # seconds that each request takes longer
        self.asked: list[tuple[int, int | None]] = []  # when each request came and was answered, as counted in …
        self._events = 0  # … requests and answers so far
        self._counting, self._waiting = threading.Lock(), dict[socket.socket, int]()
        self.caught = threading.Event()  # something came to grief since the mode was set
        self._ends: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def set(self, mode: str, status: str = "", body: str = "") -> None:
        """From now on, for the connections that there are too."""
        was, self.mode = self.mode, mode
        self.caught.clear()
        text = body.encode()
        self.reply = f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text
        if mode == "cut":
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._hang_up()
        elif was == "cut":
            self._listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        elif was == "silent":
            self._hang_up()

    def close(self) -> None:
        if self.mode != "cut":
            self.set("cut")

    @property
    def in_sequence(self) -> int:
        """How many of the requests so far can only have come one after another: as many as do not overlap."""
        count = end = 0
        for came, answered in sorted(self.asked, key=lambda one: one[1] or self._events):
            if came >= end:
                count, end = count + 1, answered or self._events
        return count

    def _note(self, near: socket.socket, *, is_answer: bool) -> None:
        """A request has come, or some of its answer."""
        with self._counting:
            self._events += 1
            if is_answer and near in self._waiting:
                number = self._waiting.pop(near)
                self.asked[number] = self.asked[number][0], self._events
            elif not is_answer and near not in self._waiting:
                self._waiting[near] = len(self.asked)
                self.asked.append((self._events, None))

    def _hang_up(self) -> None:
        for end in list(self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                threading.Thread(target=self._lead, args=(near,), daemon=True).start()

    def _lead(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._to)) as far:
            self._ends |= {near, far}
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while self._pass_on(near, far):
                pass
        self._ends -= {near}

    def _pass_on(self, near: socket.socket, far: socket.socket) -> bool:
        """Whatever has come from either end; False when the connection is over."""
        for end in select.select([near, far], [], [])[0]:
            chunk = end.recv(1 << 16)
            if not chunk:
                return False
            self._note(near, is_answer=end is far)
            if self.mode == "through" or (self.mode == "lose" and end is near):
                time.sleep(self.delay if end is near else 0)
                (far if end is near else near).sendall(chunk)
            else:
                self.caught.set()
                if self.mode == "answer" and end is near:
                    near.sendall(self.reply)
                if self.mode in ("lose", "cut"):
                    return False
        return True
