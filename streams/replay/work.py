"""Where a fold keeps its work: a folder for each log, in it one for each policy, so that a second run goes on or uses it again.

    <work_dir>/log-<fingerprint>/rows/          the log, in shards
    <work_dir>/log-<fingerprint>/fold-<...>/    what a policy made of it, task by task, and at last `folded.json`

Names are hashes of all that decides what lies in them: the source, the policy, and the code of the core itself.
"""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import msgspec

import features
import online_models
import schemas
import streams
from schemas.errors import MaitredError
from streams.scoring.policy import Policy

# What decides what comes of a log. The sequel's own code (learning, assigning, measures) does not.
CORE = (
    (features, ("frozen", "merging", "money", "outlook", "profile", "vector", "windows")),
    (online_models, ("model",)),
    (schemas, ("events", "ids", "records")),
    (streams, ("engine", "door")),
)
FOLD = (
    "fold", "households", "moments", "partitions", "places", "rows", "shards", "shuffle", "spending", "spill", "stages", "work",
)  # fmt: skip

T = TypeVar("T")


class FolderInUse(MaitredError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder}: expected nobody else at work there, got another replay; wait for it, or name another folder with --work"
        )


@cache
def core_version() -> str:
    """A hash of the code that folds: another version of it folds anew."""
    files = [Path(package.__path__[0]) / f"{name}.py" for package, names in CORE for name in names]
    files += sorted((Path(streams.__path__[0]) / "scoring").glob("*.py"))
    files += [Path(streams.__path__[0]) / "replay" / f"{name}.py" for name in FOLD]
    digest = blake2b(digest_size=8)
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def log_folder(work_dir: Path, fingerprint: str) -> Path:
    return work_dir / f"log-{_hash(fingerprint, core_version())}"


def fold_folder(log: Path, policy: Policy) -> Path:
    described = msgspec.json.encode(policy, order="sorted").decode()
    return log / f"fold-{_hash(described, core_version())}"


def _hash(*words: str) -> str:
    return blake2b("\0".join(words).encode(), digest_size=8).hexdigest()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Nobody else works in the folder meanwhile. Raises `FolderInUse`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(folder) from None
        yield


def forget(work_dir: Path) -> None:
    """Remove what replays have left there, and nothing else: hold the folder meanwhile."""
    for folder in (*work_dir.glob("log-*"), *work_dir.glob("recorded-*"), work_dir / "runs"):
        shutil.rmtree(folder, ignore_errors=True)


# ---- small facts beside the files --------------------------------------------------------------------------------------


def note(path: Path, facts: object) -> None:
    """Written whole or not at all."""
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(facts, order="sorted")))
    part.rename(path)


def noted(path: Path, kind: type[T]) -> T | None:
    """None where nothing is noted, or what another release has noted otherwise: it is made anew."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def empty(folder: Path) -> Path:
    """The folder, made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
