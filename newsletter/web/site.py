"""The front door, and what browsers and robots ask for by themselves."""

from flask import Response, current_app, request

from newsletter.mail import colour
from newsletter.web.frame import pages, publication

_SECRET_PATHS = ("/u/", "/leave/", "/preferences/", "/confirm/", "/not-me/", "/admin/")


@pages.get("/")
def front() -> Response:
    """Lead to the one page that is for everybody."""
    return Response(status=302, headers={"Location": current_app.url_for("web.signup")})


@pages.get("/brand.css")
def brand() -> Response:
    """Return the publication's accent, and what is legible on it, as names for static/newsletter.css."""
    one = publication()
    names = {
        "--accent-light": one.accent_light,
        "--on-accent-light": colour.ink_on(one.accent_light),
        "--accent-dark": one.accent_dark,
        "--on-accent-dark": colour.ink_on(one.accent_dark),
    }
    sheet = ":root {\n" + "".join(f"  {name}: {value};\n" for name, value in names.items()) + "}\n"
    answer = Response(sheet, mimetype="text/css", headers={"Cache-Control": "public, max-age=300"})
    answer.add_etag()
    answer.make_conditional(request)
    return answer


@pages.get("/robots.txt")
def robots() -> Response:
    """Keep crawlers off pages whose address is a key. (They are marked noindex as well.)"""
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in _SECRET_PATHS)]
    return Response("\n".join(lines) + "\n", mimetype="text/plain", headers={"Cache-Control": "public, max-age=86400"})
