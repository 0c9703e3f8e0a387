"""Frozen looks are given back bit for bit, and what they share is kept once."""

from hypothesis import example, given
from hypothesis import strategies as st

from features.frozen import FrozenLook, Looks, decode_looks, encode_looks, new_looks
from features.vector import CATEGORIES_KEPT, SKUS_KEPT
from schemas.events import OrderLine, OrderPlaced

floats = st.one_of(st.just(0.0), st.just(1.0), st.floats(width=32, allow_nan=False).map(lambda value: value + 0.0))
vectors = st.lists(floats, max_size=40).map(tuple)


@st.composite
def looks(draw):
    first = draw(vectors)
    taken = [
        FrozenLook(
            draw(st.sampled_from(["first", "order", "day_7"])),
            number,
            draw(st.integers(0, 2**42)),
            draw(st.floats(0, 1)),
            draw(st.sampled_from(["rule-1@0", "river-1@1204"])),
            draw(st.one_of(vectors, vectors.map(lambda since: first + since))) if number > 1 else first,
            draw(st.sampled_from(["", "orders/1/2/look/0", "orders/1/29/look/0", "due/1/ab/9/day_7", "ünï"])),
        )
        for number in range(1, draw(st.integers(1, 6)))
    ]
    skus = tuple(draw(st.lists(st.text(max_size=5), max_size=3)))
    return Looks("c1", skus, ("coats",), taken, draw(st.integers(0, 2)))


@given(looks())
@example(Looks("c1"))
def test_decoding_gives_back_what_was_encoded(known) -> None:
    packed = encode_looks(known)
    assert decode_looks(packed) == known
    assert encode_looks(decode_looks(packed)) == packed


def test_more_different_numbers_than_a_byte_can_name_are_kept_too() -> None:
    many = [
        FrozenLook("order", n, n, 0.5, "m", tuple(float(n * 100 + k) for k in range(99)), f"id{n}") for n in range(9)
    ]
    assert decode_looks(encode_looks(Looks("c1", looks=many))).looks == many


def test_what_a_second_look_shares_with_the_first_costs_nothing() -> None:
    first = FrozenLook("first", 1, 5, 0.5, "rule-1@0", tuple(k / 8 for k in range(70)), "id")
    second = FrozenLook("order", 2, 9, 0.6, "rule-1@0", (*first.vector, 0.125, 0.0), "id2")
    one, two = (len(encode_looks(Looks("c1", looks=taken))) for taken in ([first], [first, second]))
    assert two - one < 40


def test_the_first_basket_is_kept_dearest_first_and_bounded() -> None:
    lines = tuple(
        OrderLine(
            sku=f"s{n:02}", quantity=1 + n % 2, unit_price_minor=100 * (n % 30), category=f"c{n % 5}" if n % 7 else None
        )
        for n in range(60)
    )
    kept = new_looks("c1", OrderPlaced(order_id="o", occurred_at_ms=1, currency="EUR", market="DE", lines=lines))
    values = {line.sku: -line.quantity * line.unit_price_minor for line in lines}
    assert list(kept.skus) == sorted(values, key=lambda sku: (values[sku], sku))[:SKUS_KEPT]
    assert len(set(kept.categories)) == CATEGORIES_KEPT
    assert kept.looks == []
