"""(being written) The assigner's core."""

from msgspec import Struct

from schemas.records import Batch, Decision, Needs, State


class AssignmentPolicy(Struct, frozen=True, kw_only=True):
    version: str = ""
    experiment: str = "first"
    control_share: int = 100_000  # millionths


def needs(batch: Batch, policy: AssignmentPolicy) -> Needs:
    return Needs(frozenset())


def assign(state: State, batch: Batch, policy: AssignmentPolicy) -> Decision:
    return Decision((), ())
