"""What every `Store` must do: one list of checks, run on each implementation.

A check is a function of `fresh`, which gives an empty store. Its docstring says what must hold.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from features.store import NOWHERE, UNFINISHED, Applied, Asked, Loaded, Move, Position, Store
from schemas.records import Seen, Write

FAR_FUTURE_MS = 2**53 - 1


class ListedStore(Store, Protocol):
    """A store that tools can list."""

    def keys(self, partition: int) -> Iterator[str]: ...

    def contents(self, partition: int) -> dict[str, bytes]: ...


Fresh = Callable[[], ListedStore]


def filled(store: ListedStore, *writes: Write, partition: int = 0) -> ListedStore:
    """The store, with `writes` as batch 0 of a partition."""
    assert store.apply(partition, 0, Position(1, 10, 1_000), writes) is Applied.DONE
    return store


def everything(
    store: ListedStore, partition: int = 0
) -> tuple[Position, dict[str, bytes], tuple[tuple[int, str], ...]]:
    return store.position(partition), store.contents(partition), store.load(partition, (), FAR_FUTURE_MS).due


def check_an_empty_partition_stands_nowhere(fresh: Fresh) -> None:
    """A partition never written to stands at entry 0 and holds nothing."""
    store = fresh()
    assert store.position(3) == NOWHERE
    assert store.load(3, ["p/1"], FAR_FUTURE_MS) == Loaded(NOWHERE, {}, ())
    assert store.read({"p/1": 3}) == {"p/1": Seen(0, None)}
    assert list(store.keys(3)) == []


def check_what_is_applied_is_loaded(fresh: Fresh) -> None:
    """Values come back as written, with the position they belong to; absent keys are absent."""
    store = filled(fresh(), Write("p/1", b"one"), Write("p/2", b"two"))
    assert store.load(0, ["p/1", "p/3", "p/2"], 0) == Loaded(Position(1, 10, 1_000), {"p/1": b"one", "p/2": b"two"}, ())
    assert store.position(0) == Position(1, 10, 1_000)
    assert store.load(0, (key for key in ("p/2", "p/2")), 0).values == {"p/2": b"two"}
    assert store.load(0, (), 0).values == {}


def check_a_batch_is_applied_once(fresh: Fresh) -> None:
    """The same batch again is answered ALREADY, a batch too early BEHIND; neither changes anything."""
    store = filled(fresh(), Write("p/1", b"one", 50))
    before = everything(store)
    assert store.apply(0, 0, Position(1, 99, 99), [Write("p/1", b"other"), Write("p/9", b"new", 1)]) is Applied.ALREADY
    assert store.apply(0, 2, Position(3, 99, 99), [Write("p/1", None), Write("p/9", b"new", 1)]) is Applied.BEHIND
    assert everything(store) == before


def check_entries_are_compared_as_numbers(fresh: Fresh) -> None:
    """Entry 10 comes after entry 9, and after 2."""
    store = fresh()
    for entry in range(10):
        assert store.apply(0, entry, Position(entry + 1), []) is Applied.DONE
    assert store.apply(0, 9, Position(10), []) is Applied.ALREADY
    assert store.apply(0, 2, Position(3), []) is Applied.ALREADY
    assert store.apply(0, 11, Position(12), []) is Applied.BEHIND


def check_a_batch_without_writes_moves_the_position(fresh: Fresh) -> None:
    """Time alone may move on: no write, one entry more, all three numbers kept, however large."""
    store = fresh()
    assert store.apply(0, 0, Position(1, 2**60, 2**52), []) is Applied.DONE
    assert store.position(0) == Position(1, 2**60, 2**52)


def check_a_deleted_key_is_gone(fresh: Fresh) -> None:
    """None deletes a key and what was due for it; deleting what isn't there does nothing."""
    store = filled(fresh(), Write("p/1", b"one", 50), Write("p/2", b"two", 60))
    assert store.apply(0, 1, Position(2), [Write("p/1", None), Write("p/3", None, 70)]) is Applied.DONE
    assert everything(store) == (Position(2), {"p/2": b"two"}, ((60, "p/2"),))


def check_a_partition_may_become_empty(fresh: Fresh) -> None:
    """When the last key is deleted the position stays."""
    store = filled(fresh(), Write("p/1", b"one", 50))
    store.apply(0, 1, Position(2, 20, 30), [Write("p/1", None)])
    assert everything(store) == (Position(2, 20, 30), {}, ())


def check_a_key_has_one_due_time(fresh: Fresh) -> None:
    """A write replaces the key's due time; without one, nothing is due any more."""
    store = filled(fresh(), Write("p/1", b"one", 50), Write("p/2", b"two", 60), Write("p/3", b"three", 70))
    writes = [Write("p/1", b"one", 90), Write("p/2", b"two"), Write("p/3", b"changed", 70)]
    assert store.apply(0, 1, Position(2), writes) is Applied.DONE
    assert store.load(0, (), FAR_FUTURE_MS).due == ((70, "p/3"), (90, "p/1"))


def check_what_is_due_comes_with_its_value(fresh: Fresh) -> None:
    """All keys due by a time, that time included, come in order of (time, key), with their values."""
    writes = [
        Write(key, key.encode(), due) for key, due in (("z", 5), ("b", 7), ("ä", 7), ("a", 7), ("Z", 7), ("c", 8))
    ]
    store = filled(fresh(), *writes, Write("never", b"never"))
    loaded = store.load(0, ["never", "a"], 7)
    assert loaded.due == ((5, "z"), (7, "Z"), (7, "a"), (7, "b"), (7, "ä"))
    assert loaded.values == {key: key.encode() for key in ("never", "a", "z", "Z", "b", "ä")}
    assert store.load(0, (), 4).due == ()


def check_due_times_are_exact(fresh: Fresh) -> None:
    """Milliseconds are kept to the last digit, now and in the far future; before 1970 too."""
    times = (-1_000_000_000_001, 0, 1_795_305_600_123, 1_795_305_600_124, FAR_FUTURE_MS)
    store = filled(fresh(), *(Write(f"p/{at}", b"x", at) for at in times))
    assert tuple(at for at, _ in store.load(0, (), FAR_FUTURE_MS).due) == times
    assert tuple(at for at, _ in store.load(0, (), 1_795_305_600_123).due) == times[:3]


def check_the_last_write_counts(fresh: Fresh) -> None:
    """Several writes to one key in a batch leave what the last of them says."""
    store = filled(
        fresh(),
        *(Write("p/1", b"early", 50), Write("p/1", None), Write("p/1", b"late")),
        *(Write("p/2", b"early", 50), Write("p/2", None)),
        *(Write("p/3", None), Write("p/3", b"late", 60)),
    )
    assert everything(store)[1:] == ({"p/1": b"late", "p/3": b"late"}, ((60, "p/3"),))


def check_partitions_are_apart(fresh: Fresh) -> None:
    """What one partition is told no other one hears."""
    store = filled(fresh(), Write("p/1", b"of zero", 50))
    filled(store, Write("p/1", b"of one", 60), partition=1)
    store.apply(1, 1, Position(2), [Write("p/2", b"two", 70)])
    store.clear(0)
    assert everything(store, 0) == (NOWHERE, {}, ())
    assert everything(store, 1) == (
        Position(2),
        {"p/1": b"of one", "p/2": b"two"},
        ((60, "p/1"), (70, "p/2")),
    )


def check_other_partitions_are_read_with_their_entry(fresh: Fresh) -> None:
    """`read` gives each key's value and how many entries its partition had, whether the key is there or not."""
    store = filled(fresh(), Write("v/1", b"one"), partition=1)
    filled(store, Write("v/2", b"two"), partition=2)
    store.apply(2, 1, Position(2), [])
    asked = {"v/2": 2, "v/1": 1, "v/absent": 1, "v/nowhere": 7, "v/other": 2}
    assert store.read(asked) == {
        "v/2": Seen(2, b"two"),
        "v/1": Seen(1, b"one"),
        "v/absent": Seen(1, None),
        "v/nowhere": Seen(0, None),
        "v/other": Seen(2, None),
    }
    assert store.read({}) == {}


def check_several_partitions_at_once_are_several_partitions(fresh: Fresh) -> None:
    """`load_each` and `apply_each` answer for each partition what `load` and `apply` would, in the order asked."""
    store = filled(fresh(), Write("p/1", b"one", 50), partition=1)
    moves = [
        Move(2, 0, Position(1), [Write("p/2", b"two")]),
        Move(1, 0, Position(9), [Write("p/1", b"lost")]),
        Move(1, 1, Position(2), [Write("p/3", b"three", 60)]),
        Move(3, 4, Position(5), []),
    ]
    assert store.apply_each(moves) == [Applied.DONE, Applied.ALREADY, Applied.DONE, Applied.BEHIND]
    assert store.load_each([Asked(2, ["p/2", "p/1"], 0), Asked(1, iter(["p/3"]), 50), Asked(3, [], 50)]) == [
        Loaded(Position(1), {"p/2": b"two"}, ()),
        Loaded(Position(2), {"p/3": b"three", "p/1": b"one"}, ((50, "p/1"),)),
        Loaded(NOWHERE, {}, ()),
    ]
    assert store.load_each([]) == []
    assert store.apply_each([]) == []


def check_a_cleared_partition_is_restored_in_pieces(fresh: Fresh) -> None:
    """After `clear` a restore may write in pieces that leave the entry at 0, the last of which moves it at once."""
    store = filled(fresh(), Write("p/1", b"one", 50))
    store.clear(0)
    store.clear(5)
    assert everything(store) == (NOWHERE, {}, ())
    assert store.apply(0, 0, Position(0, 7), [Write("p/1", b"uno", 51)]) is Applied.DONE
    assert store.position(0) == Position(0, 7)
    assert store.apply(0, 0, Position(40, 99, 1_000), [Write("p/2", b"dos")]) is Applied.DONE
    assert everything(store) == (Position(40, 99, 1_000), {"p/1": b"uno", "p/2": b"dos"}, ((51, "p/1"),))


def check_a_restore_under_way_is_read_as_empty(fresh: Fresh) -> None:
    """Between the pieces of a restore a partition is the state of no entry: others read nothing, as of entry 0."""
    store = filled(fresh(), Write("v/1", b"one"), partition=1)
    assert store.apply(1, 1, Position(4, 20, UNFINISHED), [Write("v/1", b"two")]) is Applied.DONE
    assert store.read({"v/1": 1, "v/2": 1}) == {"v/1": Seen(0, None), "v/2": Seen(0, None)}
    assert store.position(1) == Position(4, 20, UNFINISHED)
    assert store.apply(1, 4, Position(9, 30, 1_000), []) is Applied.DONE
    assert store.read({"v/1": 1}) == {"v/1": Seen(9, b"two")}


def check_any_bytes_are_kept(fresh: Fresh) -> None:
    """Values are any bytes, also none at all; keys any text."""
    odd = {
        "p/": b"",
        "p/ with space\r\n": bytes(range(256)),
        "p/Jürgen 東京 🥂": b"\x00",
        "@": b"*1\r\n",
        "": b"empty key",
    }
    store = filled(fresh(), *(Write(key, value, 50) for key, value in odd.items()))
    assert store.load(0, odd, 0).values == odd
    assert store.load(0, (), 50).values == odd
    assert set(store.keys(0)) == set(odd)


def check_a_large_batch_is_one_batch(fresh: Fresh) -> None:
    """20,000 writes of 400 bytes are applied at once and loaded at once, by name and because they are due."""
    values = {f"p/{n:08d}": n.to_bytes(4, "big") * 100 for n in range(20_000)}
    store = filled(fresh(), *(Write(key, value, 50) for key, value in values.items()))
    assert store.load(0, values, 0).values == values
    due = store.load(0, (), 50)
    assert due.values == values
    assert due.due == tuple((50, key) for key in values)
    assert store.contents(0) == values
    assert store.apply(0, 1, Position(2), [Write(key, None) for key in values]) is Applied.DONE
    assert everything(store) == (Position(2), {}, ())


CHECKS: tuple[Callable[[Fresh], None], ...] = tuple(
    check for name, check in sorted(globals().items()) if name.startswith("check_")
)
