"""What browsers, search engines and caches may do with an answer: as little as possible unless a view says more."""

from typing import Final

from flask import Response

from newsletter.foundation.services import services

_CONTENT: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_STRICT: Final = {
    "Content-Security-Policy": _CONTENT,
    "X-Content-Type-Options": "nosniff",
    # The address of a page is the key to somebody's subscriptions: no other site, cache or index gets it (D12).
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def add(response: Response) -> Response:
    """Fill in what the view left open. For every answer of the application, those without a page of ours too."""
    for name, value in _STRICT.items():
        response.headers.setdefault(name, value)
    if services().settings.public_url.startswith("https://"):
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response
