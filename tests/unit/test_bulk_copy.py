"""What COPY sends in place of PostgreSQL's own functions says the same."""

import uuid

import numpy as np
import shapely

from gridsvc.reports.bulk_copy import new_ids, point_texts


def test_ids_are_of_version_7_differ_and_ascend() -> None:
    ids = new_ids(70_000).to_pylist()
    read = [uuid.UUID(one) for one in ids]
    assert {one.version for one in read} == {7}
    assert {one.variant for one in read} == {uuid.RFC_4122}
    assert ids == sorted(set(ids))
    assert new_ids(0).to_pylist() == []
    # Whoever knows one of a batch cannot tell the next.
    assert len({one[-12:] for one in ids}) == len(ids)


def test_points_are_ewkb_and_null_where_there_is_no_place() -> None:
    x, y = np.array([503_000.125, np.nan, 1.0]), np.array([4_420_000.5, 1.0, np.inf])
    first, *others = point_texts(x, y, srid=4547).to_pylist()
    point = shapely.from_wkb(first)
    assert (point.x, point.y, shapely.get_srid(point)) == (503_000.125, 4_420_000.5, 4547)
    assert others == [None, None]
