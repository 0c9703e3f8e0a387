"""The state of one batch while the core works on it: decoded on first use, encoded once at the end."""

from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from zlib import crc32

from features.frozen import Looks, decode_looks, encode_looks
from features.profile import (
    Profile,
    Visitor,
    decode_account,
    decode_visitor,
    encode,
    new_profile,
    new_visitor,
    next_due,
)
from schemas.events import PageBrowsed
from schemas.records import Record, Seen, State, Write

PROFILE, LOOKS, VISITOR, WATERMARK = "p/", "l/", "v/", "watermark"


class Working:
    """Values by key, each a mutable copy of its own; what was touched becomes the writes."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._accounts: dict[str, Profile | str | None] = {}  # of one that ended, the account it was merged into
        self._looks: dict[str, Looks | None] = {}
        self._visitors: dict[str, Visitor | None] = {}
        self._touched: set[str] = set()
        self._known_watermark_ms = self.watermark_ms = int(state.values.get(WATERMARK, b"0"))
        self._due = list(state.due)
        self._noted: dict[str, int] = {}  # what was put on that heap last, of each key, and lies there still
        heapify(self._due)

    # ---- values ----------------------------------------------------------------------------------------------------

    def profile(self, customer_id: str) -> Profile | None:
        account = self._account(customer_id)
        return account if isinstance(account, Profile) else None

    def merged_into(self, customer_id: str) -> str | None:
        """The account that goes on, of one that ended."""
        account = self._account(customer_id)
        return account if isinstance(account, str) else None

    def _account(self, customer_id: str) -> Profile | str | None:
        if customer_id not in self._accounts:
            value = self._state.values.get(PROFILE + customer_id)
            self._accounts[customer_id] = None if value is None else decode_account(value)
        return self._accounts[customer_id]

    def profile_or_new(self, customer_id: str, at_ms: int, record: Record) -> Profile:
        profile = self.profile(customer_id)
        if profile is None:
            profile = self._accounts[customer_id] = new_profile(customer_id, at_ms)
            profile.born = crc32(record.where.encode())
        return profile

    def visitor(self, visitor_id: str) -> Visitor | None:
        if visitor_id not in self._visitors:
            value = self._state.values.get(VISITOR + visitor_id)
            self._visitors[visitor_id] = None if value is None else decode_visitor(value)
        return self._visitors[visitor_id]

    def show_visitor(self, visitor_id: str, value: bytes | None) -> None:
        """A visitor as known from elsewhere, in place of what is known here."""
        self._visitors[visitor_id] = None if value is None else decode_visitor(value)

    def visitor_or_new(self, visitor_id: str, at_ms: int) -> Visitor:
        visitor = self.visitor(visitor_id)
        if visitor is None:
            visitor = self._visitors[visitor_id] = new_visitor(visitor_id, at_ms)
        return visitor

    def browser(self, event: PageBrowsed) -> Profile | Visitor | None:
        """Who took this step, if the customer or visitor was met in this batch already, and did not end."""
        if event.customer_id is None:
            return self._visitors.get(event.visitor_id or "")
        account = self._accounts.get(event.customer_id)
        return account if isinstance(account, Profile) else None

    def looks(self, customer_id: str) -> Looks | None:
        if customer_id not in self._looks:
            value = self._state.values.get(LOOKS + customer_id)
            self._looks[customer_id] = None if value is None else decode_looks(value)
        return self._looks[customer_id]

    def outside(self) -> Mapping[str, Seen]:
        return self._state.outside

    # ---- changes ---------------------------------------------------------------------------------------------------

    def touch_profile(self, customer_id: str, profile: Profile | None) -> None:
        """The profile has changed (None: it is deleted); whatever falls due with it is known anew."""
        self._accounts[customer_id] = profile
        self._touch(PROFILE + customer_id, None if profile is None else next_due(profile))

    def end_account(self, customer_id: str, into: str) -> None:
        """Keep nothing of an account but where it went."""
        self._accounts[customer_id] = into
        self._touch(PROFILE + customer_id, None)
        self.touch_looks(customer_id, None)

    def touch_looks(self, customer_id: str, looks: Looks | None) -> None:
        self._looks[customer_id] = looks
        self._touched.add(LOOKS + customer_id)

    def touch_visitor(self, visitor_id: str, visitor: Visitor | None) -> None:
        self._visitors[visitor_id] = visitor
        self._touch(VISITOR + visitor_id, None if visitor is None else visitor.forget_at_ms)

    def _touch(self, key: str, due_ms: int | None) -> None:
        self._touched.add(key)
        if due_ms is None:
            self._noted.pop(key, None)
        elif self._noted.get(key) != due_ms:
            self._noted[key] = due_ms
            heappush(self._due, (due_ms, key))

    # ---- time ------------------------------------------------------------------------------------------------------

    def pop_due(self) -> tuple[int, str] | None:
        """The first (due_ms, key) that the watermark has passed; entries that no longer hold are passed over."""
        while self._due and self._due[0][0] <= self.watermark_ms:
            due_ms, key = heappop(self._due)
            if self._noted.get(key) == due_ms:  # also of an entry that no longer holds: it may come to hold again
                del self._noted[key]
            if self._due_of(key) == due_ms:
                return due_ms, key
        return None

    def may_be_due(self, by_ms: int) -> bool:
        """False: nothing is due by then."""
        return bool(self._due) and self._due[0][0] <= by_ms

    def _due_of(self, key: str) -> int | None:
        if key.startswith(VISITOR):
            visitor = self.visitor(key[len(VISITOR) :])
            return visitor.forget_at_ms if visitor else None
        profile = self.profile(key[len(PROFILE) :])
        return next_due(profile) if profile else None

    # ---- the end ---------------------------------------------------------------------------------------------------

    def writes(self) -> tuple[Write, ...]:
        written = tuple(self._write(key) for key in sorted(self._touched))
        if self.watermark_ms == self._known_watermark_ms:
            return written
        return (*written, Write(WATERMARK, b"%d" % self.watermark_ms))

    def _write(self, key: str) -> Write:
        name = key[2:]
        if key.startswith(PROFILE):
            account = self._accounts[name]
            due_ms = next_due(account) if isinstance(account, Profile) else None
            return Write(key, None if account is None else encode(account), due_ms)
        if key.startswith(VISITOR):
            visitor = self._visitors[name]
            return Write(key, None) if visitor is None else Write(key, encode(visitor), visitor.forget_at_ms)
        looks = self._looks[name]
        return Write(key, None if looks is None else encode_looks(looks))
