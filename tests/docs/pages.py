"""The documents for people, and the code in them."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")],
)
DEPLOY = sorted(path for path in (ROOT / "deploy").iterdir() if path.is_file())
_INLINE = re.compile(r"`([^`]+)`")


def read(path: Path) -> str:
    """Return the text of a document."""
    return path.read_text(encoding="utf-8")


def name(path: Path) -> str:
    """Return how a test calls the document."""
    return path.relative_to(ROOT).as_posix()


def code(text: str) -> Iterator[str]:
    """Give the lines of code blocks, without their comments, and what stands in backticks."""
    fenced, prose = False, []
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield re.sub(r"\s+#\s.*", "", line).strip()
        else:
            prose.append(line)
    for words in _INLINE.findall("\n".join(prose)):
        yield " ".join(words.split())


def commands(lines: Iterator[str] | list[str], program: str) -> Iterator[list[str]]:
    """Give the words that follow `program` wherever one of `lines` runs it, by its name or its path."""
    for line in lines:
        for part in re.split(r"\s*(?:&&|;|\|)\s*", line):
            found = re.search(rf"(?:^|/bin/|\s--\s|\bweb |^command: ){program}(?:\s+(.*))?$", part)
            if found:
                yield (found[1] or "").split()


def headings(text: str) -> set[str]:
    """Return the anchors that a page's headings make: lower case, spaces to hyphens, no other punctuation."""
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}
