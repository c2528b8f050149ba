"""The composition root: the one place that knows every room and puts them together."""

from urllib.parse import urlsplit

from flask import Flask
from flask_migrate import Migrate
from werkzeug.middleware.proxy_fix import ProxyFix

from newsletter import admin, cli, web
from newsletter.admin import security
from newsletter.foundation import db as database
from newsletter.foundation import logs, pages, queue, resources
from newsletter.foundation.services import Services
from newsletter.foundation.settings import Settings, load


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application from `settings`, or from the environment. Raises SettingsError naming every problem."""
    settings = settings or load()
    logs.configure(settings.log_level, settings.log_format)
    app = Flask(
        "newsletter",
        template_folder=str(resources.folder("templates")),
        static_folder=str(resources.PACKAGE / "static"),
    )
    app.config.update(_flask_config(settings))
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        # Flask's documented way to wrap the application, which the types call an assignment to a method.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # addresses lie in it
    pages.install(app.jinja_env)
    database.db.init_app(app)
    Migrate(app, database.db, directory=str(resources.folder("migrations")), compare_type=True)
    Services.build(settings).install(app)
    queue.configure(app, settings)
    web.install(app)
    admin.install(app)
    # Readers' pages know no cookie: a signed token in the address says whose they are, and a sign-up is nobody's yet. A
    # CSRF token would only stop mail programs from unsubscribing (RFC 8058 section 3.1) and forms on other sites.
    security.csrf.exempt(web.pages)
    cli.install(app)
    return app


def _flask_config(settings: Settings) -> dict[str, object]:
    *older, newest = (key.get_secret_value() for key in settings.secret_keys)
    https = settings.public_url.startswith("https://")
    hosts = {urlsplit(settings.public_url).hostname or "", "localhost", "127.0.0.1", "[::1]"}
    return {
        "SECRET_KEY": newest,
        "SECRET_KEY_FALLBACKS": older,
        "DEBUG": settings.debug,
        "SQLALCHEMY_DATABASE_URI": settings.database,
        "SQLALCHEMY_ENGINE_OPTIONS": database.engine_options(settings.database),
        "MAX_CONTENT_LENGTH": 1_000_000,
        "TRUSTED_HOSTS": sorted(hosts),
        "SESSION_COOKIE_NAME": "__Host-newsletter" if https else "newsletter",
        "SESSION_COOKIE_SECURE": https,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PREFERRED_URL_SCHEME": "https" if https else "http",
        "WTF_CSRF_TIME_LIMIT": None,  # as long as the session, which ends on the server
    }
