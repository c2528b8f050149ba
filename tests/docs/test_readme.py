"""What the documents name exists: targets, commands and their options, files, headings, tables."""

import re
from pathlib import Path

import click
import pytest

from newsletter import tables
from newsletter.cli import newsletter
from newsletter.foundation.db import Base
from tests.docs.pages import DEPLOY, PAGES, ROOT, code, commands, headings, name, read

TARGETS = set(re.findall(r"^([a-z]+):.*## ", read(ROOT / "Makefile"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_make_target_exists(page: Path) -> None:
    for words in commands(list(code(read(page))), "make"):
        named = [word for word in words if not word.startswith("-") and "=" not in word and "/" not in word]
        assert set(named[:1]) <= TARGETS, words


@pytest.mark.parametrize("page", [*PAGES, *DEPLOY], ids=name)
def test_every_command_exists_and_has_the_options(page: Path) -> None:
    text = read(page)
    lines = list(code(text)) if page.suffix == ".md" else [line.lstrip("# ").rstrip() for line in text.splitlines()]
    for words in commands(lines, "newsletter"):
        assert _wrong(words) is None, f"newsletter {' '.join(words)}"


def test_commands_that_do_not_exist_are_seen() -> None:
    assert _wrong(["runs", "show", "RUN"]) is None
    assert _wrong(["runs", "shew", "RUN"]) == "shew"
    assert _wrong(["serve", "--prot", "80"]) == "--prot"
    assert list(commands(["cd x && .venv/bin/newsletter runs list", "pg_dump newsletter"], "newsletter")) == [
        ["runs", "list"]
    ]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in headings(read(linked)), target


def test_every_table_that_the_glossary_names_exists() -> None:
    assert tables is not None  # it brings every room's tables
    classes = {mapper.class_.__name__ for mapper in Base.registry.mappers}
    named = set(re.findall(r"`([A-Z][A-Za-z]+)(?:\.\w+)?`", read(ROOT / "docs/glossary.md")))
    assert named
    assert named <= classes


def test_decisions_are_numbered_and_listed() -> None:
    folder = ROOT / "docs/adr"
    files = sorted(path.name for path in folder.glob("0*.md"))
    assert [int(file[:4]) for file in files] == list(range(1, len(files) + 1))
    assert re.findall(r"\((\d{4}-[a-z-]+\.md)\)", read(folder / "README.md")) == files
    for number, file in enumerate(files, 1):
        text = read(folder / file)
        assert text.startswith(f"# {number}. ")
        assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def _wrong(words: list[str]) -> str | None:
    """Return the first word that is no command or option; None when all is right."""
    command: click.Command = newsletter
    for word in words:
        if word.startswith("--") and word != "--":
            options = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
            if word.partition("=")[0] not in options | {"--help", "--json"}:
                return word
        elif isinstance(command, click.Group) and word != "…":
            known = command.get_command(click.Context(command), word)
            if known is None:
                return word
            command = known
    return None
