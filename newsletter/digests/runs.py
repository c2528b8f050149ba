"""Runs, for reading."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.content.models import Category
from newsletter.digests.models import Run, RunArticle, RunZone
from newsletter.foundation.errors import NotFoundError


@dataclass(frozen=True)
class RunFigures:
    """What went into a run. How its mails fare is told by its mailing."""

    run: Run
    zones: tuple[str, ...]
    by_category: dict[str, int]
    """Category's name to the articles it could show, in the site's order."""


def recent(session: Session, *, before: int | None = None, limit: int = 50) -> Sequence[Run]:
    """Return runs, the last opened first, on from the run `before` (the last id of the page that was shown)."""
    page = select(Run).order_by(Run.id.desc()).limit(limit)
    return session.scalars(page if before is None else page.where(Run.id < before)).all()


def figures(session: Session, run_id: int) -> RunFigures:
    """Return one run and what went into it. Raises NotFoundError."""
    run = session.get(Run, run_id)
    if run is None:
        raise NotFoundError("There is no such run.")
    zones = session.scalars(select(RunZone.timezone).where(RunZone.run_id == run_id).order_by(RunZone.timezone))
    counts = session.execute(
        select(Category.name, func.count())
        .join(RunArticle, RunArticle.category_id == Category.id)
        .where(RunArticle.run_id == run_id)
        .group_by(Category.id, Category.name, Category.position)
        .order_by(Category.position, Category.id)
    )
    return RunFigures(run, tuple(zones), dict(counts.all()))
