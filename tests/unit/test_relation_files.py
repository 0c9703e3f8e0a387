"""Existing relations from CSV: what can be used is, what can't is told with its line and the cure."""

import pytest

from schemas.events import RelationImported
from schemas.records import Fault
from streams.relation_files import RelationFileError, Roll, read_relations

NOW_MS = 1_790_000_000_000
ROLL = Roll({"main", "south"}, {("main", "anna"), ("south", "bela")})
HEAD = "customer_id,advisor_id,pool,service_until,language"


def lines(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "relations.csv"
    path.write_bytes(text.encode(encoding))
    return list(read_relations(path, NOW_MS, ROLL))


def test_a_good_line_becomes_an_event(tmp_path):
    """A service lasts through its last day (UTC); what is empty is left to the settings. Blank lines are passed over."""
    first, second = lines(tmp_path, f"{HEAD}\nc1,anna,main,2027-06-30,de\n\nc2, bela ,south,,\n")
    assert isinstance(first.read, RelationImported)
    assert isinstance(second.read, RelationImported)
    assert (first.read.customer_id, first.read.language, first.read.occurred_at_ms) == ("c1", "de", NOW_MS)
    assert first.read.service_until_ms == 1_814_400_000_000  # 2027-07-01T00:00Z
    assert (second.read.advisor_id, second.read.service_until_ms, second.read.language) == ("bela", None, None)
    assert (first.number, second.number) == (2, 4)


def test_the_same_line_is_the_same_relation(tmp_path):
    """However often it is imported, and whatever stands around it; another end is another relation."""
    (one,) = lines(tmp_path, f"{HEAD}\nc1,anna,main,2027-06-30,\n")
    _, again = lines(tmp_path, f"{HEAD}\nc0,anna,main,,\nc1,anna,main,2027-06-30,de\n")
    (other,) = lines(tmp_path, f"{HEAD}\nc1,anna,main,2027-07-30,\n")
    assert one.read.relation_id == again.read.relation_id != other.read.relation_id


def test_columns_may_come_in_any_order_and_as_spreadsheets_write_them(tmp_path):
    """Semicolons, a byte order mark, quotes."""
    (line,) = lines(tmp_path, '\ufeffpool;advisor_id;customer_id\nmain;anna;"c;1"\n')
    assert line.read.customer_id == "c;1"


@pytest.mark.parametrize(
    ("row", "field", "expected", "got"),
    [
        (",anna,main,,", "customer_id", "a value", "an empty cell"),
        ("c1,carl,main,,", "advisor_id", "an advisor of pool main", '"carl"'),
        ("c1,anna,south,,", "advisor_id", "an advisor of pool south", '"anna"'),
        ("c1,anna,west,,", "pool", "main or south", '"west"'),
        ("c1,anna,main,30.06.2027,", "service_until", "a day such as 2027-06-30", '"30.06.2027"'),
        ("c1,anna,main,2020-01-01,", "service_until", "a day to come", "one that is over"),
        ("c1,anna,main", "line", "5 cells", "3"),
        ("c0,anna,main,,", "customer_id", "each customer once", '"c0" again'),
        (f"{'c' * 129},anna,main,,", "customer_id", "`str` of length <= 128", ...),
    ],
)
def test_a_bad_line_is_told_and_the_others_go_on(tmp_path, row, field, expected, got):
    """With the place, what was expected, what came, and the cure."""
    first, bad, last = lines(tmp_path, f"{HEAD}\nc0,anna,main,,\n{row}\nc9,anna,main,,\n")
    assert isinstance(bad.read, Fault)
    assert (bad.read.field, bad.read.expected) == (field, expected)
    assert got is ... or bad.read.got == got
    assert bad.read.cure
    assert str(bad).endswith("relations.csv:3")
    assert isinstance(first.read, RelationImported)
    assert isinstance(last.read, RelationImported)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "got an empty line"),
        ("customer,advisor,pool\n", "expected the columns customer_id, advisor_id, pool"),
        ("customer_id,advisor_id,pool,pool\n", "expected the columns"),
        (HEAD.replace("language", "lang"), "got customer_id, advisor_id, pool, service_until, lang"),
    ],
)
def test_a_file_without_the_columns_is_refused_whole(tmp_path, text, said):
    """And says which they are."""
    with pytest.raises(RelationFileError) as refused:
        lines(tmp_path, text)
    assert said in str(refused.value)


def test_a_file_that_is_no_text_is_refused_whole(tmp_path):
    """As is one that is not there."""
    with pytest.raises(RelationFileError, match="CSV in UTF-8"):
        lines(tmp_path, f"{HEAD}\nc1,ännä,main,,\n", encoding="latin-1")
    with pytest.raises(RelationFileError, match="No such file"):
        list(read_relations(tmp_path / "none.csv", NOW_MS, ROLL))
