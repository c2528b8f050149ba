"""The Gazette's web site: a front page, the articles, their pictures and feeds, and the newsletter's sign-up box."""

import ipaddress
from collections.abc import Callable
from datetime import datetime
from functools import partial

from flask import Flask, Response, abort, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from newsletter.foundation.clock import utc_now
from newsletter.sample import card, feeds
from newsletter.sample.articles import CATEGORIES, Article, load_drafts
from newsletter.sample.edition import Edition

HELD_BACK = 12
"""How many articles wait to be released as new, three of each category."""


def create_site(
    base_url: str,
    *,
    signup_url: str | None = None,
    signup_html: str | None = None,
    held_back: int = HELD_BACK,
    clock: Callable[[], datetime] = utc_now,
) -> Flask:
    """Make the site that is reached at `base_url` and opens, with a fresh week of articles, at `clock()`.

    `signup_url` is the newsletter's sign-up page, to link to; `signup_html` its embeddable form, put into every page as
    it is, as an editor would paste it: it must come from whoever runs the newsletter.
    """
    base_url = base_url.rstrip("/")
    edition = Edition(load_drafts(), opened_at=clock(), held_back=held_back)
    site = Flask(__name__)
    site.jinja_env.globals.update(
        paper=feeds.PAPER,
        motto=feeds.MOTTO,
        language=feeds.LANGUAGE,
        categories=CATEGORIES,
        signup_url=signup_url,
        signup_html=Markup(signup_html) if signup_html else None,  # noqa: S704  (markup by contract, see above)
    )

    def find(slug: str) -> Article:
        return next((article for article in edition.articles() if article.slug == slug), None) or abort(404)

    @site.get("/")
    def front() -> str:
        return render_template("front.html", sections={name: edition.articles(name) for name in CATEGORIES})

    site.add_url_rule("/privacy", "privacy", partial(render_template, "privacy.html"))

    @site.get("/articles/<slug>")
    def article(slug: str) -> str:
        return render_template("article.html", article=find(slug))

    @site.get("/images/<slug>.png")
    def image(slug: str) -> Response:
        return _fresh(card.draw(slug, find(slug).categories[0]), "image/png", None)

    @site.get("/feeds/<name>.xml")
    def rss(name: str) -> Response:
        category = next((category for category in CATEGORIES if category.lower() == name), None) or abort(404)
        changed_at, articles = edition.changed_at, edition.articles(category)
        body = feeds.rss(category, articles, base_url=base_url, changed_at=changed_at)
        return _fresh(body, "application/rss+xml; charset=utf-8", changed_at)

    @site.get("/feeds/all.atom")
    def atom() -> Response:
        changed_at, articles = edition.changed_at, edition.articles()
        body = feeds.atom(articles, base_url=base_url, changed_at=changed_at)
        return _fresh(body, "application/atom+xml; charset=utf-8", changed_at)

    @site.get("/feeds/all.json")
    def json_feed() -> Response:
        changed_at, articles = edition.changed_at, edition.articles()
        return _fresh(feeds.json_feed(articles, base_url=base_url), "application/feed+json", changed_at)

    @site.post("/_release")
    def release() -> ResponseReturnValue:
        """Publish `count` of the articles held back: for whoever plays with the site on this machine."""
        # A browser names the page that posts; so no web page can do this behind its visitor's back.
        if not ipaddress.ip_address(request.remote_addr or "::").is_loopback or "Origin" in request.headers:
            abort(403)
        count = request.form.get("count", type=int)
        if count is None or count < 1:
            abort(400)
        fresh = edition.release(count, clock())
        return jsonify(released=[article.slug for article in fresh], waiting=edition.waiting)

    @site.after_request
    def no_script(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; img-src 'self'; style-src 'self' 'unsafe-inline'; base-uri 'none'"
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return site


def _fresh(body: bytes, content_type: str, changed_at: datetime | None) -> Response:
    """Answer with validators, or with 304 to whoever holds this state already (RFC 9110, 13.2)."""
    response = Response(body, content_type=content_type)
    response.add_etag()
    response.last_modified = changed_at
    response.cache_control.no_cache = True
    response.make_conditional(request)
    return response
