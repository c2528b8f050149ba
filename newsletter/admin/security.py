"""What keeps operators' pages theirs: CSRF tokens, where a request came from, and what their browser may load."""

from typing import Final

from flask import Response, abort, request
from flask_wtf.csrf import CSRFProtect

from newsletter.foundation.services import services

csrf: Final = CSRFProtect()
"""Guards every unsafe request of the application; readers' pages, which know no cookie, are exempt (see app.py)."""

UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_CONTENT: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data: https:; connect-src 'self'; "
    "form-action 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
PREVIEW: Final = "sandbox; default-src 'none'; img-src https: data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
"""For a mail that is shown inside a page: it runs nothing, sends nothing, and belongs to no origin."""


def refuse_foreign_requests() -> None:
    """Refuse an unsafe request that the browser says another site has made (Fetch Metadata, Sec-Fetch-Site)."""
    if request.method in UNSAFE and request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        abort(403)


def add_headers(response: Response) -> Response:
    """Tell the browser what the page may do; a view may have set stricter words of its own."""
    headers = response.headers
    headers.setdefault("Content-Security-Policy", _CONTENT)
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    headers["Cache-Control"] = "no-store"
    headers["X-Robots-Tag"] = "noindex"
    if services().settings.public_url.startswith("https://"):
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return response
