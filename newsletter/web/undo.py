"""The way back on a page: a token that names the change, good for a week, and only for the reader it was made for."""

from typing import Final

from flask import g, request

from newsletter.audience import undoing
from newsletter.foundation.db import transaction
from newsletter.foundation.errors import ConflictError, TokenError, TokenExpiredError
from newsletter.foundation.languages import N_
from newsletter.foundation.services import services
from newsletter.foundation.tokens import Purpose
from newsletter.web.frame import client

TOO_LATE: Final = N_("This can be undone for 7 days only. To come back, please sign up again.")


def token(subscriber_id: int, change_id: int | None) -> str:
    """Return what the page's button sends; empty when there is nothing to take back."""
    return "" if change_id is None else services().tokens.make(Purpose.UNDO, [subscriber_id, change_id])


def take_back(subscriber_id: int, form: str) -> None:
    """Undo what this request's `undo_token` names. Raises TokenError for another reader's, ConflictError when late."""
    try:
        owner, change_id = services().tokens.read(Purpose.UNDO, request.form.get("undo_token", ""))
    except TokenExpiredError:
        raise ConflictError(TOO_LATE) from None
    if owner != subscriber_id:
        raise TokenError("This link is not valid.")
    with transaction() as session:
        undoing.undo(session, change_id, g.now, client(form))
