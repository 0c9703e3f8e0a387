"""Simpler scorers beside the model: what a shop, or an afternoon with a library, would have had.

`spend` and `rule` come with every look. Here are the others: `random`, and two models that are refitted every 30 days on all
examples known by then, one for first looks and one for second looks, over the same features (but for those that only Maitred's
own model knows) with the libraries' own defaults. Before there are enough outcomes of both kinds they say nothing.

Their scores are no decisions and no part of `outputs_sha256`.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.errors import SettingsError
from schemas.ids import hash64
from streams.replay.bootstrap import Floats, Ints
from streams.replay.moments import LookMoment, OutcomeMoment
from streams.replay.sequel import Fold
from streams.scoring.policy import DAY_MS

SPEND: Final = "spend"  # beside everything: the rule that any shop can write in one line
ALL: Final = (SPEND, "rule", "logistic", "lightgbm", "random")
NEEDS: Final = {"logistic": "sklearn", "lightgbm": "lightgbm"}
REFIT_MS: Final = 30 * DAY_MS
LEAST_EXAMPLES: Final = 50
LEAST_POSITIVES: Final = 5
SAME: Final = 1e-6  # a feature that varies less says nothing
MOST_LEARNT: Final = 200_000  # of the latest examples
MOST_LOOKS: Final = 1_000_000  # with more, refitted models are left out: their features would not fit into memory
SCHEMA: Final = pa.schema([
    ("look_id", pa.string()),
    ("by_logistic", pa.float64()),
    ("by_lightgbm", pa.float64()),
    ("by_random", pa.float64()),
])  # fmt: skip

Matrix = npt.NDArray[np.float32]
Predict = Callable[[Matrix], Floats]


def check(names: Sequence[str]) -> tuple[str, ...]:
    """The baselines asked for, in our order; rank by first-order value always. Raises `SettingsError` for one that is unknown or can't be computed here."""
    unknown = [name for name in names if name not in ALL]
    if unknown:
        raise SettingsError("--baselines", f"some of {', '.join(ALL)}", unknown[0], "separate them by commas")
    for name in names:
        if name in NEEDS and find_spec(NEEDS[name]) is None:
            others = ",".join(n for n in ALL if n not in NEEDS)
            raise SettingsError(
                "--baselines",
                f"the package {NEEDS[name]}, which {name} needs",
                "none",
                f"pip install 'maitred[replay]', or leave it out with --baselines {others}",
            )
    return tuple(name for name in ALL if name == SPEND or name in names)


def installed() -> tuple[str, ...]:
    """The baselines that can be computed with what is installed."""
    return tuple(name for name in ALL if name not in NEEDS or find_spec(NEEDS[name]) is not None)


class _Seen(NamedTuple):
    """Looks of one kind, in the order of time, with what came of them."""

    place: Ints  # among all looks
    at_ms: Ints
    known_ms: Ints  # when the outcome was known; never, where it is not
    is_vip: npt.NDArray[np.bool_]
    vectors: Matrix


NEVER: Final = 1 << 62


def score_baselines(folded: Fold, horizon_days: int, names: Sequence[str], seed: int) -> pa.Table:
    """What the baselines said of every look, by its id."""
    looks: list[tuple[str, int, bool]] = []  # id, time, whether it is a first look
    vectors: list[npt.NDArray[np.float32]] = []
    refits = [name for name in ("logistic", "lightgbm") if name in names]
    outcomes: dict[str, tuple[int, bool]] = {}  # by look: known when, and what
    for moment in folded.moments():
        if isinstance(moment, LookMoment):
            looks.append((moment.scored.id, moment.at_ms, moment.scored.look == "first"))
            if refits and len(looks) <= MOST_LOOKS:
                vectors.append(np.array(moment.vector, np.float32))
        elif isinstance(moment, OutcomeMoment) and moment.horizon_days == horizon_days and refits:
            outcomes |= {look_id: (moment.at_ms, moment.is_vip) for _, look_id in moment.looks}
    columns: dict[str, Any] = {"by_logistic": None, "by_lightgbm": None, "by_random": None}  # Any: arrays
    if "random" in names:
        columns["by_random"] = [hash64(f"{seed}/{look_id}") / 2.0**64 for look_id, _, _ in looks]
    if refits and 0 < len(looks) <= MOST_LOOKS:
        for name in refits:
            columns[f"by_{name}"] = np.full(len(looks), np.nan)
        for is_first in (True, False):
            seen = _seen(looks, vectors, outcomes, is_first=is_first)
            for name in refits:
                _score(columns[f"by_{name}"], seen, FITS[name], seed)
    arrays = [pa.array([look_id for look_id, _, _ in looks], pa.string())]
    arrays += [_array(columns[f.name], len(looks)) for f in list(SCHEMA)[1:]]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def with_baselines(examples: pa.Table, scores: pa.Table) -> pa.Table:
    """The examples with what the baselines said of their looks."""
    place = {look_id: number for number, look_id in enumerate(scores["look_id"].to_pylist())}
    rows = pa.array([place.get(look_id) for look_id in examples["look_id"].to_pylist()], pa.int64())
    for name in SCHEMA.names[1:]:
        index = examples.schema.get_field_index(name)
        examples = examples.set_column(index, examples.schema.field(index), scores[name].take(rows))
    return examples.combine_chunks()


def _seen(
    looks: Sequence[tuple[str, int, bool]],
    vectors: Sequence[npt.NDArray[np.float32]],
    outcomes: dict[str, tuple[int, bool]],
    *,
    is_first: bool,
) -> _Seen:
    chosen = [number for number, look in enumerate(looks) if look[2] == is_first]
    known = [outcomes.get(looks[number][0], (NEVER, False)) for number in chosen]
    return _Seen(
        np.array(chosen, np.int64),
        np.array([looks[number][1] for number in chosen], np.int64),
        np.array([at_ms for at_ms, _ in known], np.int64),
        np.array([is_vip for _, is_vip in known], np.bool_),
        np.vstack([vectors[number] for number in chosen]) if chosen else np.zeros((0, 0), np.float32),
    )


def _score(told: Floats, seen: _Seen, fit: "Fit", seed: int) -> None:
    """Every 30 days a new model, for the looks of the next 30."""
    if not len(seen.at_ms):
        return
    for from_ms in range(int(seen.at_ms[0]), int(seen.at_ms[-1]) + 1, REFIT_MS):
        now = np.flatnonzero((seen.at_ms >= from_ms) & (seen.at_ms < from_ms + REFIT_MS))
        learnt = np.flatnonzero(seen.known_ms < from_ms)[-MOST_LEARNT:]
        positives = int(seen.is_vip[learnt].sum())
        enough = len(learnt) >= LEAST_EXAMPLES and LEAST_POSITIVES <= positives <= len(learnt) - LEAST_POSITIVES
        if len(now) and enough:
            predict = fit(seen.vectors[learnt], seen.is_vip[learnt], seed)
            told[seen.place[now]] = np.round(predict(seen.vectors[now]), 9)


Fit = Callable[[Matrix, npt.NDArray[np.bool_], int], Predict]


def _logistic(vectors: Matrix, is_vip: npt.NDArray[np.bool_], _seed: int) -> Predict:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  # an extra
    from threadpoolctl import threadpool_limits  # noqa: PLC0415  # comes with it

    everything = vectors.astype(np.float64)
    varies = everything.std(axis=0) > SAME
    center, scale = everything[:, varies].mean(axis=0), everything[:, varies].std(axis=0)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it did not converge in full: it is a baseline
        model = LogisticRegression(max_iter=200).fit((everything[:, varies] - center) / scale, is_vip)

    def predict(rows: Matrix) -> Floats:
        with threadpool_limits(1):
            found: Floats = model.predict_proba((rows[:, varies] - center) / scale)[:, 1]
            return found

    return predict


def _lightgbm(vectors: Matrix, is_vip: npt.NDArray[np.bool_], seed: int) -> Predict:
    import lightgbm  # noqa: PLC0415  # an extra

    options = {
        "objective": "binary",
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,
        "seed": seed % (1 << 31),
        "verbosity": -1,
    }
    model = lightgbm.train(options, lightgbm.Dataset(vectors, label=is_vip.astype(np.float32)), num_boost_round=100)

    def predict(rows: Matrix) -> Floats:
        found: Floats = np.asarray(model.predict(rows, num_threads=1), np.float64)
        return found

    return predict


FITS: Final[dict[str, Fit]] = {"logistic": _logistic, "lightgbm": _lightgbm}


def _array(values: Iterable[float] | None, count: int) -> pa.Array:
    if values is None:
        return pa.nulls(count, pa.float64())
    return pa.array(np.asarray(values, np.float64), pa.float64(), from_pandas=True)  # NaN: nothing was said
