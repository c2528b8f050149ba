"""Words from feeds, forms and settings, made fit to stand in a mail.

Everything that could steer a header, a terminal or a mail client goes: control characters, line separators, bidi
overrides, invisible and private characters, the beginnings of encoded-words (RFC 2047), and in prose what a mail client
would take for a link or for markup.
"""

import re
from typing import Final

_GONE: Final = re.compile(
    "["
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # C0 and C1 but for those that count as white space
    "\u200b\u2060-\u206f\ufeff\ufff9-\ufffb"  # zero width, isolates, interlinear marks
    "\u202a-\u202e"  # bidi embeddings and overrides
    "\ud800-\udfff"  # halves of surrogate pairs
    "\ufdd0-\ufdef\ufffe\uffff"  # no characters at all
    "\ue000-\uf8ff\U000f0000-\U0010ffff"  # private use: ours, for slots (see fragments.py)
    "\U000e0000-\U000e0fff"  # tags
    "]"
)
_PRETENDED_REPLY: Final = re.compile(r"(?:re|fwd?|aw|wg)\s*(?:\[\d+\])?\s*[:：]\s*", re.IGNORECASE)
_SCHEME: Final = re.compile(r"https?://", re.IGNORECASE)
_TAG: Final = re.compile(r"<(/?[a-z!][^<>]*)>", re.IGNORECASE)
_OPENING: Final = re.compile(r"<(?=/?[a-z!])", re.IGNORECASE)
_ENTITY: Final = re.compile(r"&(?=#?\w+;)")


def clean(text: str, limit: int) -> str:
    """Return `text` as one line of harmless characters, at most `limit` of them."""
    line = " ".join(_GONE.sub("", text[: limit * 8]).split())
    return clip(line.replace("=?", "= ?"), limit)


def prose(text: str, limit: int) -> str:
    """Return `text` cleaned, and so that HTML and text part can both hold it without adding a link or a tag (F8)."""
    words = clean(text, limit)
    while _SCHEME.search(words):  # taking one out may leave another behind
        words = _SCHEME.sub("", words)
    words = _OPENING.sub("‹", _TAG.sub(r"‹\1›", words))
    return clean(_ENTITY.sub("& ", words), limit)


def subject(text: str, fallback: str) -> str:
    """Return a subject line: never empty, never a pretended reply (F12)."""
    for candidate in (text, fallback):
        line = clean(candidate, 150)
        while pretence := _PRETENDED_REPLY.match(line):
            line = line[pretence.end() :]
        if line:
            return line
    return "…"


def clip(text: str, limit: int) -> str:
    """Cut `text` to `limit` characters, between words where it can be, with an ellipsis."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    if text[limit - 1] != " " and cut.rfind(" ") > limit // 2:
        cut = cut[: cut.rfind(" ")]
    return cut.rstrip(" ,;:.–—-\u200c\u200d\ufe0f") + "…"
