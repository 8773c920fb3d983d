from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pondctl.services._row_ids import RowIds
from pondctl.services.targets.store import PackedIccids

ids = st.lists(st.integers(1, 2**63 - 1), max_size=50)


@given(ids, st.integers(1, 7))
def test_ids_come_once_and_in_order_in_pages_of_any_size(given_ids: list[int], size: int) -> None:
    rows = RowIds(given_ids)

    paged: list[int] = []
    while page := rows.after(paged[-1] if paged else 0, size):
        paged += page

    assert paged == list(rows) == sorted(set(given_ids))
    assert [i for chunk in rows.chunks(size) for i in chunk] == paged
    assert len(rows) == len(paged)


def test_an_id_that_is_not_there_has_its_successors() -> None:
    rows = RowIds([3, 5, 9])

    assert rows.after(4, 10) == [5, 9]
    assert rows.after(9, 10) == []


@given(st.sets(st.from_regex(r"89[0-9]{16,20}", fullmatch=True), max_size=40))
def test_a_packed_set_knows_what_is_in_it(iccids: set[str]) -> None:
    packed = PackedIccids()
    for iccid in iccids:
        packed.add(iccid)

    assert all(iccid in packed for iccid in iccids)
    assert "" not in packed
    assert all((f"{iccid}0"[:22] in packed) == (f"{iccid}0"[:22] in iccids) for iccid in iccids)
