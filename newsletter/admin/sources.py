"""Where articles come from, and how that goes."""

from flask import render_template

from newsletter.admin.frame import pages


@pages.get("/sources")
def sources() -> str:
    """List the sources and their health."""
    return render_template("admin/sources.html", section="sources")
