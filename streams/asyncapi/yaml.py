"""A document of JSON values as YAML that people can read; a small writer, so that no package is needed for it."""

import json
import re
from collections.abc import Iterator

PLAIN = re.compile(r"[A-Za-z/$_][A-Za-z0-9_./#$-]*( [A-Za-z0-9_./-]+)*")
MEANS_ELSE = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}  # as YAML 1.1 reads them


def yaml(value: object) -> str:
    """Text that every YAML reader reads as the value.

    >>> print(yaml({"topics": [{"name": "orders", "count": 4}], "note": "a: b", "none": []}))
    topics:
      - name: orders
        count: 4
    note: "a: b"
    none: []
    """
    return "\n".join(_lines(value))


def _lines(value: object) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _entry(f"{_scalar(str(key))}:", item)
    elif isinstance(value, list) and value:
        for item in value:
            first, *rest = _lines(item)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _entry(head: str, item: object) -> Iterator[str]:
    if isinstance(item, dict | list) and item:
        yield head
        yield from (f"  {line}" for line in _lines(item))
    else:
        yield f"{head} {_scalar(item)}"


def _scalar(value: object) -> str:
    is_plain = isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in MEANS_ELSE
    return str(value) if is_plain else json.dumps(value, ensure_ascii=False)
