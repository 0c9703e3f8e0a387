"""A real web server on loopback that misbehaves as it is told, and notes what it was sent."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Answer(NamedTuple):
    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    after_s: float = 0.0
    drop: bool = False  # the connection, without an answer


class Posted(NamedTuple):
    """A request, as it came."""

    headers: dict[str, str]
    body: bytes
    at_s: float
    attempt: int  # the how-manieth with this webhook-id

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def customer(self) -> str:
        return str(self.event["subject"])


class Server(ThreadingHTTPServer):
    """`answer` decides what each request gets; `accepted` are those that got 2xx, in the order of the answers."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: Callable[[Posted], Answer] = lambda _posted: Answer()
        self.posted: list[Posted] = []
        self.accepted: list[Posted] = []
        self.under_way: Counter[str] = Counter()
        self.most_of_one_customer = self.most_at_once = self.connections = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/decisions"

    def ids(self) -> list[str]:
        return [posted.id for posted in self.accepted]

    def process_request(self, request: Any, client_address: Any) -> None:  # Any: as socketserver has them
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        server = self.server
        body = self.rfile.read(int(self.headers["content-length"]))
        if len(body) < int(self.headers["content-length"]):
            return  # the sender died
        headers = {name.lower(): value for name, value in self.headers.items()}
        with server.lock:
            attempt = 1 + sum(posted.id == headers["webhook-id"] for posted in server.posted)
            posted = Posted(headers, body, time.monotonic(), attempt)
            server.posted.append(posted)
            server.under_way[posted.customer] += 1
            server.most_of_one_customer = max(server.most_of_one_customer, server.under_way[posted.customer])
            server.most_at_once = max(server.most_at_once, server.under_way.total())
        answer = server.answer(posted)
        time.sleep(answer.after_s)
        with server.lock:
            server.under_way[posted.customer] -= 1
            if 200 <= answer.status < 300 and not answer.drop:
                server.accepted.append(posted)
        if answer.drop:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in (*answer.headers, ("content-length", str(len(answer.body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as it is called
        pass


@contextmanager
def web_server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
