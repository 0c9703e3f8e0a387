"""A whole replay of a small simulated shop, and of a part of CDNOW: determinism, what-if, folders, and how it ends."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from schemas.errors import SettingsError
from streams.datasets.preset import load_with
from streams.replay.baselines import check
from streams.replay.leaving import brief, leave, refuse_foreign
from streams.replay.replay import Plan, Replayed, replay
from streams.replay.sources.named import NamedSource
from streams.replay.sources.simulator import SimulatorSource
from streams.replay.variants import as_configured, read_variants, with_horizon
from streams.replay.work import forget, held
from streams.settings import Settings, read
from streams.simulator import ShopPlan, shop_settings

PLAN = ShopPlan(customers=160, days=500, seed=3, browse=False).checked()
MAITRED = (sys.executable, "-c", "from streams.cli import main; main()")
CHEAP = ("spend", "rule", "random")


def settings() -> Settings:
    return with_horizon(read({}, shop_settings(PLAN)), 90)


def played(work: Path, *rows: dict[str, Any], processes: int = 1, **options: Any) -> Replayed:
    variants = read_variants({"variant": list(rows)}, settings(), "x.toml") if rows else (as_configured(settings()),)
    source = SimulatorSource(PLAN, settings().partitions)
    return replay(
        Plan(
            source=source,
            variants=variants,
            work_dir=work,
            processes=processes,
            draws=60,
            with_capacity=False,
            **options,
        )
    )


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    return played(tmp_path_factory.mktemp("work"))


def timeless(replayed: Replayed) -> bytes:
    """Results without what the clock says, and without the number of processes."""
    plain = msgspec.json.decode(msgspec.json.encode(replayed.results))
    for name in ("wall_s", "stages", "processes"):
        del plain[name]
    return msgspec.json.encode(plain, order="sorted")


def test_everything_is_there(once: Replayed) -> None:
    """Looks, outcomes, figures of all scorers at all kinds of look, evidence."""
    results = once.results
    assert results.first_purchases > 100
    assert 0 < results.positives < results.examples <= results.first_purchases
    assert results.roc_auc is not None
    assert {"first", "day_7", "day_14", "day_30", "all"} <= results.looks.keys()
    assert {"model", "spend", "random"} <= results.evaluations["all"].keys()
    assert results.difference_ci95 is not None
    for part in ("curves", "calibration", "calibration_bins", "scores", "weeks", "days_to_vip", "reasons", "snapshots"):
        assert getattr(results, part), part
    assert results.answer is not None
    run = once.runs[0]
    assert run.assignments.num_rows
    assert run.examples["by_random"].null_count == 0
    assert any("contacts are assumed" in note for note in results.notes)


def test_one_and_two_processes_give_the_same_bytes(once: Replayed, tmp_path: Path) -> None:
    """Tables as Parquet, results as JSON, the name of all decisions; in folders that know nothing of each other."""
    twice = played(tmp_path / "work", processes=2)
    assert twice.results.outputs_sha256 == once.results.outputs_sha256
    assert timeless(twice) == timeless(once)
    for name, replayed in (("one", once), ("two", twice)):
        leave(replayed, tmp_path / name, with_report=False)
    tables = sorted((tmp_path / "one" / "runs").rglob("*.parquet"))
    assert len(tables) >= 9
    for table in tables:
        assert table.read_bytes() == (tmp_path / "two" / table.relative_to(tmp_path / "one")).read_bytes(), table.name


def test_a_second_run_uses_what_the_first_has_left(tmp_path: Path) -> None:
    """And finds the same."""
    first = played(tmp_path, baselines=CHEAP)
    again = played(tmp_path, baselines=CHEAP)
    assert not first.results.stages.fold_was_reused
    assert again.results.stages.fold_was_reused
    assert timeless(again) == timeless(first)


def test_variants_are_compared_over_the_shared_fold(tmp_path: Path) -> None:
    """A variant that changes nothing finds nothing else; one that hides features scores otherwise; pairs have intervals."""
    replayed = played(
        tmp_path,
        {"name": "plain"},
        {"name": "same"},
        {"name": "blind", "features_off": ["log_first_spend", "log_skus", "log_later_net_spend"]},
        {"name": "nobody", "roster": [{"pool": "main", "advisors": 1, "capacity": 0}]},
        {"name": "half", "assignment": {"control_share": 0.5}},
        {"name": "short", "scoring": {"horizon_days": 60}},
        baselines=CHEAP,
    )
    facts = {variant.name: variant for variant in replayed.results.variants}
    assert facts["same"].outputs_sha256 == facts["plain"].outputs_sha256
    assert len({facts[name].outputs_sha256 for name in ("plain", "blind", "nobody", "half", "short")}) == 5
    assert facts["nobody"].assigned == 0 < facts["plain"].assigned
    assert facts["half"].withheld > facts["plain"].withheld
    assert facts["short"].horizon_days == 60
    pairs = {(d.than_variant, d.variant) for d in replayed.results.differences if d.variant != d.than_variant}
    assert len(pairs) == 15
    (same,) = [
        d for d in replayed.results.differences
        if (d.than_variant, d.variant, d.look, d.part, d.outcome, d.measure)
        == ("plain", "same", "first", "all", "whole", "roc_auc")
    ]  # fmt: skip
    assert (same.difference, same.ci95) == (0.0, (0.0, 0.0))


def test_cdnow_comes_from_the_package_and_knows_no_consent(tmp_path: Path) -> None:
    """A real set on a machine without data: whoever did not refuse counts; outcomes of 30 days; no amount of our own."""
    source = NamedSource("cdnow", None, 4)
    variant = as_configured(load_with(source.preset, None, {}, horizon_days=30))
    plan = Plan(
        source=_Part(source, 6_000),
        variants=(variant,),
        work_dir=tmp_path,
        baselines=CHEAP,
        draws=50,
        with_capacity=False,
    )
    results = replay(plan).results
    assert results.events == 6_000
    assert results.base_currency == "USD"
    assert results.variants[0].assigned > 0
    assert results.variants[0].horizon_days == 30


class _Part:
    """The first rows of a source."""

    def __init__(self, whole: NamedSource, rows: int) -> None:
        self._whole, self._rows = whole, rows
        self.name, self.lacks = whole.name, whole.lacks

    @property
    def quality(self):
        return self._whole.quality

    def fingerprint(self) -> str:
        return f"{self._whole.fingerprint()}/{self._rows}"

    def total(self) -> int:
        return self._rows

    def batches(self):
        left = self._rows
        for batch in self._whole.batches():
            yield batch.slice(0, left)
            left -= min(left, len(batch))
            if not left:
                return


def test_rank_by_first_order_value_is_always_beside(tmp_path: Path) -> None:
    """Whatever is asked for, and by how many options: nothing that was named is lost."""
    from streams.cli.replay import _words  # with all that a command line needs

    assert check(_words(["random", "logistic, rule"])) == ("spend", "rule", "logistic", "random")
    assert check(_words(["none"])) == ("spend",)
    results = played(tmp_path, baselines=()).results
    assert results.baselines == ("spend",)
    assert results.baseline.examples == results.examples > 0
    assert results.difference_ci95 is not None


def test_weeks_hold_every_assignment(once: Replayed) -> None:
    """The week in which the log ends, too."""
    run = once.runs[0]
    told = {name: sum(run.weeks[name].to_pylist()) for name in ("assigned", "withheld", "ended", "looks")}
    withheld = sum(run.assignments["withheld"].to_pylist())
    ended = run.assignments.num_rows - run.assignments["ended_at_ms"].null_count
    assert told == {
        "assigned": run.assignments.num_rows - withheld,
        "withheld": withheld,
        "ended": ended,
        "looks": run.looks.num_rows,
    }
    assert max(run.weeks["week_ms"].to_pylist()) > run.end_ms - 7 * 86_400_000


def test_a_log_without_outcomes_ends_well(tmp_path: Path) -> None:
    """No AUC, and a sentence that says why."""
    plan = Plan(
        source=SimulatorSource(PLAN, 4),
        variants=(as_configured(with_horizon(settings(), 900)),),
        work_dir=tmp_path,
        baselines=CHEAP,
    )
    results = replay(plan).results
    assert (results.roc_auc, results.examples, results.difference_ci95) == (None, 0, None)
    assert any("no outcome was known" in note for note in results.notes)
    assert msgspec.json.encode(brief(results))


def test_only_a_folder_of_a_replay_is_written_to(once: Replayed, tmp_path: Path) -> None:
    """A foreign file stays, and is named; a folder of a replay is written anew."""
    for _ in range(2):
        leave(once, tmp_path / "ours", with_report=False)
    (tmp_path / "ours" / "thesis.odt").write_text("ten years of work")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "runs").mkdir()
    for folder, found in (("ours", "thesis.odt"), ("other", "results.json"), ("ours/thesis.odt", "a folder")):
        with pytest.raises(SettingsError, match=found):
            refuse_foreign(tmp_path / folder)
    assert (tmp_path / "ours" / "thesis.odt").read_text() == "ten years of work"


def test_results_are_told_briefly(once: Replayed) -> None:
    """What `--json` prints has at least these, and stays far smaller than the file."""
    told = msgspec.json.decode(msgspec.json.encode(brief(once.results)))
    assert {
        "events", "first_purchases", "examples", "positives", "roc_auc", "average_precision", "capture_at_10", "baseline",
        "difference_ci95", "wall_s", "outputs_sha256", "looks", "evaluations", "variants", "baselines", "lacks", "notes",
    } <= told.keys()  # fmt: skip
    assert {"roc_auc", "average_precision", "capture_at_10"} <= told["baseline"].keys()


# ---- as a process ------------------------------------------------------------------------------------------------------


def command(*options: str, work: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*MAITRED, "replay", "--simulate", "60", "--horizon-days", "90", "--work", str(work), "--baselines", "spend", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.timeout(300)  # three processes, one after another
def test_ctrl_c_keeps_what_is_finished(tmp_path: Path) -> None:
    """Stopped while it scores, it says how to go on; the next run takes the fold, and finds what an undisturbed one finds."""
    stopped = command("--processes", "2", work=tmp_path / "work")
    assert stopped.stderr is not None
    for line in stopped.stderr:
        if line.startswith("scoring"):
            stopped.send_signal(signal.SIGINT)
            break
    _, rest = stopped.communicate(timeout=60)
    assert stopped.returncode == 130, rest
    assert "the same command goes on" in rest
    told = {}
    for name, work in (("resumed", tmp_path / "work"), ("undisturbed", tmp_path / "other")):
        run = command("--json", work=work)
        out, err = run.communicate(timeout=100)
        assert run.returncode == 0, err
        told[name] = msgspec.json.decode(out)
    assert told["resumed"]["stages"]["fold_was_reused"]
    assert not told["undisturbed"]["stages"]["fold_was_reused"]
    for once in told.values():
        del once["stages"], once["wall_s"]
    assert told["resumed"] == told["undisturbed"]


def test_beginning_anew_removes_what_replays_left_and_nothing_else(tmp_path: Path) -> None:
    """And not even that while another replay is at work there: it is told with the cure, and goes on."""
    from streams.cli import app

    work = tmp_path / "replay-simulator"
    for name in ("log-1/rows", "recorded-1", "runs/play-1"):
        (work / name).mkdir(parents=True)
    (work / "thesis.odt").write_text("ten years of work")
    with held(work):
        refused = CliRunner().invoke(app, ["replay", "--simulate", "60", "--work", str(tmp_path), "--fresh"])
        assert (refused.exit_code, (work / "log-1").exists()) == (1, True)
        assert "another replay; wait for it, or name another folder with --work" in refused.stderr
        forget(work)
    assert sorted(path.name for path in work.iterdir()) == ["lock", "thesis.odt"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "name one thing to replay"),
        (("--dataset", "cdnow", "--topics"), "name one thing to replay"),
        (("--dataset", "cdno"), "cdnow"),
        (("--simulate", "5", "--from", "2024-01-01"), "go with --topics"),
        (("--topics", "--from", "yesterday"), r"orders\[0\]@1200"),
        (("--simulate", "5", "--baselines", "spend,lightgmb"), "lightgmb"),
        (("--simulate", "5", "--ray-address", "auto"), "--engine ray"),
        (("--simulate", "5", "--variants", "none.toml"), "none.toml"),
    ],
)
def test_misuse_is_told(options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit 2, and what to do."""
    from streams.cli import app

    with pytest.raises(SystemExit) as ended:
        app(["replay", *options])
    assert ended.value.code == 2
    assert re.search(said, capsys.readouterr().err)


def test_what_folds_and_judges_waits_for_no_library_of_models():
    """River, scikit-learn, SciPy take seconds to import: only what learns, or solves, does it."""
    code = "import sys, streams.replay.replay; print(sorted({'river', 'sklearn', 'scipy', 'lightgbm', 'altair'} & sys.modules.keys()))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
