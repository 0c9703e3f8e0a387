"""Snapshots: a model version as data.

A snapshot holds parameters, never code: loading one can run nothing, and no River upgrade can orphan it. Its payload is
msgpack in an envelope with a checksum. It carries all that a `Model` scores with and all that the pipelines need to go on
learning bit-identically; only the window of past predictions, which judges but doesn't learn, stays with the learner.
"""

from hashlib import blake2b
from typing import Final

from msgspec import MsgspecError, Struct, field
from msgspec.msgpack import Decoder, Encoder

from features.vector import FEATURES_VERSION
from online_models.anchored import Anchored
from online_models.champions import Standing
from online_models.explain import Linear, Term
from online_models.rule import Rule
from online_models.validation import Comparison
from schemas.errors import BrokenPromise
from schemas.records import Fault

FORMAT: Final = 1


class Parameters(Struct, frozen=True, array_like=True):
    """A StandardScaler and a LogisticRegression over one fixed list of features, as numbers."""

    learned: int  # examples, which is the count of every feature in the scaler and the optimizer's clock
    means: tuple[float, ...]
    variances: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    bound: float  # scaled values are held within +- this

    def linear(self) -> Linear:
        """The same model for scoring without River. A feature that never varied says nothing."""
        terms = (
            Term(index, mean, variance**0.5, weight, self.bound)
            for index, (mean, variance, weight) in enumerate(zip(self.means, self.variances, self.weights, strict=True))
            if variance > 0
        )
        return Linear(self.intercept, tuple(terms))


class Snapshot(Struct, frozen=True, kw_only=True):
    version: str  # the offset of the last example seen
    examples_seen: int
    spec: str  # the pipelines, in words
    river_version: str
    features_version: str
    rule: Rule
    river: dict[str, Parameters]  # by kind of look
    verdicts: dict[str, Comparison] = field(default_factory=dict)  # River against the rule, by kind of look
    standing: Standing = Standing()  # who was promoted, and which version is held
    anchored: Anchored = field(default_factory=Anchored)
    guards: dict[str, Comparison] = field(default_factory=dict)  # the anchored model against the rule, likewise
    challengers: tuple[str, ...] = ()  # models that score beside the champion


class _Envelope(Struct, frozen=True, array_like=True):
    format: int
    checksum: str
    body: bytes


_encoder = Encoder()
_envelopes = Decoder(_Envelope)
_snapshots = Decoder(Snapshot)


def checksum_of(payload: bytes) -> str:
    return blake2b(payload, digest_size=16).hexdigest()


def pack(snapshot: Snapshot) -> bytes:
    body = _encoder.encode(snapshot)
    return _encoder.encode(_Envelope(FORMAT, checksum_of(body), body))


def unpack(payload: bytes) -> Snapshot:
    """The snapshot in a payload. Raises `BrokenPromise` where it isn't what was published."""
    envelope = _envelopes.decode(payload)
    if envelope.format != FORMAT:
        raise BrokenPromise(
            f"snapshot: expected format {FORMAT}, got {envelope.format}; run the release that wrote it, or rebuild the model"
        )
    if (got := checksum_of(envelope.body)) != envelope.checksum:
        raise BrokenPromise(
            f"snapshot: expected checksum {envelope.checksum}, got {got}; rebuild the model from the examples"
        )
    return _snapshots.decode(envelope.body)


def refuse_payload(version: str, payload: bytes) -> Fault | None:
    """Why a payload can't score as this version, if it can't."""
    try:
        snapshot = unpack(payload)
    except (BrokenPromise, MsgspecError) as error:
        return Fault("invalid", "payload", f"the payload of snapshot {version}", str(error), "read it from snapshots")
    if snapshot.version != version:
        return Fault("invalid", "payload", f"snapshot {version}", snapshot.version, "name the version it holds")
    if snapshot.features_version != FEATURES_VERSION:
        return Fault(
            "invalid", "payload", f"features {FEATURES_VERSION}", snapshot.features_version, "choose a later version"
        )
    return None
