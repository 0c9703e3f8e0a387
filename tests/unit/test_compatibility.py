"""Each change that would break a replay is found, and the message names the field and the cure."""

import json
import shutil

import pytest

from schemas.compatibility import check_history, commit_history
from schemas.definitions import Definitions, Version
from schemas.errors import SchemaError


@pytest.fixture
def folder(tmp_path):
    """A copy of our definitions, all of them committed."""
    for path in Definitions().folder.glob("*.avsc"):
        shutil.copy(path, tmp_path)
    shutil.copytree(Definitions().folder / "history", tmp_path / "history")
    copied = Definitions(tmp_path)
    commit_history(copied)
    return copied


def test_our_own_history_is_in_order():
    """What is in the repository breaks nothing and is committed."""
    assert [str(problem) for problem in check_history()] == []
    assert len(Definitions().ids()) >= 17


def change(folder, name, edit):
    """Edits a definition in place: `edit` gets it as JSON."""
    path = folder.folder / f"{name}.avsc"
    definition = json.loads(path.read_text())
    edit(definition)
    path.write_text(json.dumps(definition))


def field(definition, name):
    return next(f for f in definition["fields"] if f["name"] == name)


def lines(definition):
    return field(definition, "lines")["type"]["items"]


def without(record, name):
    record["fields"] = [f for f in record["fields"] if f["name"] != name]


def add(record, name, kind, **more):
    record["fields"].append({"name": name, "type": kind, "doc": "New.", **more})


def rename(record, old, new):
    field(record, old)["name"] = new


BREACHES = {
    "required field added": (lambda d: add(d, "store", "string"), "store", "without a default was added", "give it a default"),
    "required field removed": (lambda d: without(d, "market"), "market", "without a default was removed", "put it back"),
    "type changed": (lambda d: field(d, "is_gift").update(type="string", default="no"), "is_gift", "from boolean to string", "put it back"),
    "type widened, which older readers can't read": (
        lambda d: field(d, "occurred_at_ms").update(type="double"), "occurred_at_ms", "from long to double", "put it back"),
    "string to bytes, which Avro lets pass": (
        lambda d: field(d, "order_id").update(type="bytes"), "order_id", "from string to bytes", "put it back"),
    "made optional, which older readers can't read": (
        lambda d: field(d, "currency").update(type=["null", "string"], default=None), "currency", "string to null or string", "put it back"),
    "default changed": (lambda d: field(d, "sales_channel").update(default="app"), "sales_channel", 'from "web" to "app"', "put it back"),
    "default taken away": (
        lambda d: (add(d, "store", ["null", "string"], default=None), rename(d, "store", "shop"), field(d, "shop").pop("default")),
        "shop", "without a default was added", "give it a default"),
    "renamed": (lambda d: rename(d, "payment_method", "paid_by"), "payment_method", "paid_by", "later version"),
    "renamed with an alias, which older readers can't follow": (
        lambda d: (rename(d, "payment_method", "paid_by"), field(d, "paid_by").update(aliases=["payment_method"])),
        "payment_method", "as in a rename", "later version"),
    "deep: required field added": (lambda d: add(lines(d), "gtin", "string"), "lines[].gtin", "without a default was added", "give it a default"),
    "deep: required field removed": (lambda d: without(lines(d), "sku"), "lines[].sku", "without a default was removed", "put it back"),
    "deep: type changed": (lambda d: field(lines(d), "quantity").update(type="int"), "lines[].quantity", "from long to int", "put it back"),
    "deep: record renamed": (lambda d: lines(d).update(name="Line"), "lines", "array of OrderLine to array of Line", "put it back"),
}  # fmt: skip


@pytest.mark.parametrize("case", BREACHES)
def test_a_breach_is_found_and_named(folder, case):
    """Field, finding and cure; and nothing is committed."""
    edit, where, found, cure = BREACHES[case]
    change(folder, "OrderPlaced", edit)
    breaches = [problem for problem in check_history(folder) if not problem.uncommitted]
    assert [problem.field for problem in breaches] == [where]
    assert found in breaches[0].found
    assert cure in breaches[0].cure
    assert f"OrderPlaced.{where}: " in str(breaches[0])
    with pytest.raises(SchemaError, match="nothing committed"):
        commit_history(folder)


def test_a_value_taken_away_is_a_breach(folder):
    """Records on the topics still hold it."""
    change(folder, "PageBrowsed", lambda d: field(d, "kind")["values"].remove("search"))
    (breach,) = [problem for problem in check_history(folder) if not problem.uncommitted]
    assert (breach.field, breach.found.split(" (")[0]) == ("kind", "search no longer among its values")


def test_values_fenced_in_are_a_breach(folder):
    """What was free may lie on the topics with any value."""
    change(folder, "OrderPlaced", lambda d: field(d, "sales_channel").update(values=["web", "app"]))
    (breach,) = [problem for problem in check_history(folder) if not problem.uncommitted]
    assert (breach.field, breach.found.split(" (")[0]) == ("sales_channel", "its values were free")


def test_a_list_of_new_records_may_come_and_go(folder):
    """With a default of its own; what is inside needs none."""
    gift = {"type": "record", "name": "Gift", "fields": [{"name": "to", "type": "string"}]}
    change(folder, "OrderPlaced", lambda d: add(d, "gifts", {"type": "array", "items": gift}, default=[]))
    assert commit_history(folder) == [Version("OrderPlaced", 2)]
    change(folder, "OrderPlaced", lambda d: without(d, "gifts"))
    assert commit_history(folder) == [Version("OrderPlaced", 3)]


def test_what_our_rules_pass_avro_judges(folder):
    """Another name for the whole record: no field changed, and yet no reader finds it."""
    change(folder, "OrderPlaced", lambda d: d.update(name="OrderMade"))
    (breach,) = [problem for problem in check_history(folder) if not problem.uncommitted]
    assert breach.field == ""
    assert "what version 1 writes, OrderPlaced.avsc can't read: name mismatch" in breach.found


def test_an_addition_with_a_default_is_only_uncommitted_until_it_is_committed(folder):
    """The check says how to commit; afterwards it is a version of its own with an id of its own, and old ids stay."""
    before = folder.ids()
    change(folder, "OrderPlaced", lambda d: add(d, "store", ["null", "string"], default=None))
    (problem,) = check_history(folder)
    assert problem.uncommitted
    assert str(problem) == ("OrderPlaced: it differs from its newest version; run `maitred schemas commit`")
    assert commit_history(folder) == [Version("OrderPlaced", 2)]
    assert check_history(folder) == []
    assert folder.ids() == before | {max(before) + 1: Version("OrderPlaced", 2)}


def test_docs_may_be_mended_freely(folder):
    """A better explanation is no new version."""
    change(folder, "OrderPlaced", lambda d: (d.update(doc="Better."), field(d, "market").update(doc="Better.")))
    assert check_history(folder) == []


def test_every_version_is_compared_with_every_other(folder):
    """A field that comes back with another type breaks with the version before the last: transitive."""
    change(folder, "OrderPlaced", lambda d: without(d, "payment_method"))
    commit_history(folder)
    change(folder, "OrderPlaced", lambda d: add(d, "payment_method", ["null", "long"], default=None))
    (breach,) = [problem for problem in check_history(folder) if not problem.uncommitted]
    assert breach.field == "payment_method"
    assert "from version 1 to OrderPlaced.avsc" in breach.found


def test_renaming_in_three_steps_is_allowed(folder):
    """Add, move readers over, remove."""
    change(folder, "OrderPlaced", lambda d: add(d, "paid_by", ["null", "string"], default=None))
    commit_history(folder)
    change(folder, "OrderPlaced", lambda d: without(d, "payment_method"))
    assert commit_history(folder) == [Version("OrderPlaced", 3)]


def test_missing_files_are_named(folder):
    """A definition, a version or an id that is gone is told, each with its cure."""
    (folder.folder / "TierChanged.avsc").unlink()
    (folder.folder / "history" / "PageBrowsed" / "1.avsc").rename(folder.folder / "history" / "PageBrowsed" / "2.avsc")
    said = " / ".join(str(problem) for problem in check_history(folder))
    assert "TierChanged: TierChanged.avsc is missing; restore it" in said
    assert "PageBrowsed: versions 2 are not 1 to 1; restore the missing versions" in said
    assert "PageBrowsed: version 1 does not have exactly one id; restore history/ids.json" in said


def test_what_is_no_schema_is_named(folder):
    """A definition that does not parse is told as such."""
    (folder.folder / "TierChanged.avsc").write_text('{"type": "record"}')
    assert "TierChanged: not a valid Avro schema" in " / ".join(map(str, check_history(folder)))
