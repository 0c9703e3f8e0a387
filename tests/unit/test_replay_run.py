from pathlib import Path

import msgspec

from streams.replay.results import Results
from streams.replay.run import TABLES, read_run, write_run
from tests.unit.replay_example import example_results, example_run


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Tables and facts come back equal, with their schemas."""
    run = example_run()
    write_run(run, tmp_path)
    again = read_run(tmp_path)
    for name, schema in TABLES.items():
        assert run.table(name).num_rows
        assert run.table(name).schema == schema
        assert again.table(name).to_pylist() == run.table(name).to_pylist()
    assert (again.notes, again.counts, again.outputs_sha256) == (run.notes, run.counts, run.outputs_sha256)


def test_the_same_run_gives_the_same_files(tmp_path: Path) -> None:
    """Byte for byte."""
    for folder in ("one", "other"):
        write_run(example_run(), tmp_path / folder)
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "other" / file.name).read_bytes(), file.name


def test_results_survive_json() -> None:
    """What `results.json` keeps is all there is."""
    results = example_results()
    assert msgspec.json.decode(msgspec.json.encode(results), type=Results) == results
    assert results.find("spend")[0].roc_auc == 0.721
