"""Pictures that reports came with are told by their addresses; the service keeps none."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from gridsvc.reports.models import CaseReport, Report


def photos_of(session: Session, case_ids: Collection[int]) -> dict[int, tuple[str, ...]]:
    """Give the addresses of the pictures of cases, the first report's first.

    Args:
        session: Reads only.
        case_ids: The cases.

    Returns:
        By case; without those that have none.
    """
    rows = session.execute(
        select(CaseReport.case_id, Report.photo_urls)
        .join(Report, Report.id == CaseReport.report_id)
        .where(CaseReport.case_id.in_(case_ids), Report.photo_urls != [])
        .order_by(CaseReport.case_id, CaseReport.is_first.desc(), Report.received_at, Report.id)
    )
    photos: dict[int, tuple[str, ...]] = {}
    for row in rows:
        photos[row.case_id] = photos.get(row.case_id, ()) + tuple(row.photo_urls)
    return photos
