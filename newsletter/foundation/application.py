"""The application without its pages: settings, logs, database, tools and queue.

Workers and commands need no more of it. newsletter/app.py adds the pages, which take memory and time to import.
"""

from flask import Flask

from newsletter.foundation import db as database
from newsletter.foundation import logs, queue, resources
from newsletter.foundation.services import Services
from newsletter.foundation.settings import Settings, load


def build(settings: Settings | None = None) -> Flask:
    """Build it from `settings`, or from the environment. Raises SettingsError naming every problem."""
    settings = settings or load()
    logs.configure(settings.log_level, settings.log_format)
    app = Flask(
        "newsletter",
        template_folder=str(resources.folder("templates")),
        static_folder=str(resources.PACKAGE / "static"),
    )
    app.config.update(
        DEBUG=settings.debug,
        SQLALCHEMY_DATABASE_URI=settings.database,
        SQLALCHEMY_ENGINE_OPTIONS=database.engine_options(settings.database),
    )
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # addresses lie in it
    database.db.init_app(app)
    Services.build(settings).install(app)
    queue.configure(app, settings)
    return app
