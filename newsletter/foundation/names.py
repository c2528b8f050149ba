"""Short names that stay: made once out of a name that people may change."""

import hashlib
import re
import unicodedata


def slug_of(name: str) -> str:
    """Return `name` in at most 60 lower-case letters, digits and hyphens; empty only where it has neither."""
    plain = unicodedata.normalize("NFKD", name.casefold().replace("ß", "ss")).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].rstrip("-")
    if slug or not any(sign.isalnum() for sign in name):
        return slug
    return "x" + hashlib.sha256(name.strip().encode()).hexdigest()[:8]  # of a script that has no ASCII form
