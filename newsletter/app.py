"""The composition root of what serves pages: the application, and the rooms that visitors and operators enter."""

from urllib.parse import urlsplit

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from newsletter import admin, web
from newsletter.admin import security
from newsletter.foundation import application, pages
from newsletter.foundation.settings import Settings, load


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application from `settings`, or from the environment. Raises SettingsError naming every problem."""
    settings = settings or load()
    app = application.build(settings)
    app.config.update(_flask_config(settings))
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        # Flask's documented way to wrap the application, which the types call an assignment to a method.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    pages.install(app.jinja_env)
    web.install(app)
    admin.install(app)
    # Readers' pages know no cookie: a signed token in the address says whose they are, and a sign-up is nobody's yet. A
    # CSRF token would only stop mail programs from unsubscribing (RFC 8058 section 3.1) and forms on other sites.
    security.csrf.exempt(web.pages)
    return app


def _flask_config(settings: Settings) -> dict[str, object]:
    *older, newest = (key.get_secret_value() for key in settings.secret_keys)
    https = settings.public_url.startswith("https://")
    hosts = {urlsplit(settings.public_url).hostname or "", "localhost", "127.0.0.1", "[::1]"}
    return {
        "SECRET_KEY": newest,
        "SECRET_KEY_FALLBACKS": older,
        "MAX_CONTENT_LENGTH": 1_000_000,
        "TRUSTED_HOSTS": sorted(hosts),
        "SESSION_COOKIE_NAME": "__Host-newsletter" if https else "newsletter",
        "SESSION_COOKIE_SECURE": https,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PREFERRED_URL_SCHEME": "https" if https else "http",
        "WTF_CSRF_TIME_LIMIT": None,  # as long as the session, which ends on the server
    }
