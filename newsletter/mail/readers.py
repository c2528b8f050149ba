"""What a digest's template may say of its reader, and how a template that wants more says so.

A digest is assembled from pieces that were rendered once, so a template sees marks instead of what differs from reader
to reader: `{{ reader.name }}` and its like, and `opening`, `contents`, `articles`, `rows`. A mark can be printed
anywhere; to compare it, to loop over it or to put it through a filter would judge the mark and not the reader. A
template that does so begins with `{# reader: full #}` and is rendered anew for each reader. One that does so without
is refused when it is loaded, whoever is to read it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import jinja2
from jinja2 import meta, nodes
from markupsafe import Markup

from newsletter.foundation.errors import RenderError
from newsletter.mail.fragments import slot
from newsletter.mail.personal import FIELDS, Reader

SLOTS: Final = ("opening", "contents", "articles", "rows")
"""What else differs from reader to reader."""
_DECLARATION: Final = re.compile(r"\s*\{#-?\s*reader\s*:\s*(.*?)\s*-?#\}", re.DOTALL)
_NAMES: Final = frozenset({"reader", *SLOTS})
_INDIRECT: Final = frozenset({"self", "super"})
_CAPTURING: Final = (nodes.FilterBlock, nodes.AssignBlock, nodes.CallBlock, nodes.Macro)
_PLAIN: Final = (
    nodes.Template,
    nodes.Block,
    nodes.If,
    nodes.For,
    nodes.With,
    nodes.Scope,
    nodes.EvalContextModifier,
    nodes.ScopedEvalContextModifier,
)
_REFERRING: Final = (nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)


MARKED: Final = Reader(*(Markup(slot(field)) for field in FIELDS))  # noqa: S704  (marks of ours)
"""A reader as an assembled digest's templates see one."""


def is_full(environment: jinja2.Environment, templates: Iterable[str]) -> bool:
    """Tell whether one of `templates`, or of those that they are made with, is rendered anew for each reader."""
    assert environment.loader is not None
    waiting, seen = list(templates), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            source = environment.loader.get_source(environment, name)[0]
        except jinja2.TemplateNotFound:
            continue  # it may be one that may be missing; otherwise rendering says so
        if _declares_full(source, name):
            return True
        waiting += [found for found in meta.find_referenced_templates(environment.parse(source)) if found]
    return False


def check(environment: jinja2.Environment, source: str, name: str) -> None:
    """Raise RenderError, with the line and what to do, if a template says more of its reader than it declares."""
    if _declares_full(source, name):
        return
    for line, what in _faults(environment.parse(source, name)):
        raise RenderError(
            f"The template {name} cannot be assembled: in line {line} {what}. What differs from reader to reader ("
            + ", ".join((*(f"reader.{field}" for field in FIELDS), *SLOTS))
            + ") can only be printed as it is, {{ reader.name }}, outside of filters, macros and {% set %}. "
            "Write {# reader: full #} at the top of the template if it needs more; it is then rendered for each reader "
            "anew, which takes longer."
        )


def _declares_full(source: str, name: str) -> bool:
    declared = _DECLARATION.match(source)
    if declared and declared[1] != "full":
        raise RenderError(f"The template {name} declares “reader: {declared[1][:40]}”; there is only “reader: full”.")
    return declared is not None


Fault = tuple[int, str]


def _faults(node: nodes.Node, *, captured: bool = False) -> Iterator[Fault]:
    """Walk statements; whatever is not known to print only is searched for the reader as a whole."""
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Output):
            for printed in child.nodes:
                yield from _in_output(printed, captured=captured)
        elif isinstance(child, _REFERRING):
            yield from _in_reference(child, captured=captured)
        elif isinstance(child, nodes.Block) and captured:
            yield child.lineno, "a block, which may hold the reader, stands inside a filter, macro or {% set %}"
        elif isinstance(child, _CAPTURING):
            yield from _faults(child, captured=True)
        elif isinstance(child, _PLAIN):
            yield from _faults(child, captured=captured)
        else:
            yield from _uses(child)


def _in_output(printed: nodes.Node, *, captured: bool) -> Iterator[Fault]:
    if _is_mark(printed):
        if captured:
            yield printed.lineno, f"“{_written(printed)}” stands inside a filter, macro or {{% set %}}"
    elif isinstance(printed, nodes.Call) and not captured and _is_block(printed.node):
        yield from _arguments(printed, ())
    elif isinstance(printed, nodes.Call) and not captured and _is_name(printed.node, "gettext", "ngettext"):
        # {% trans name=reader.name %}: put into the sentence as it is. What is counted chooses the sentence.
        yield from _arguments(printed, [k for k in printed.kwargs if k.key != "num" and _is_mark(k.value)])
    else:
        yield from _uses(printed)


def _in_reference(node: nodes.Node, *, captured: bool) -> Iterator[Fault]:
    template = getattr(node, "template")  # noqa: B009  (all four have it, their common base does not)
    if not isinstance(template, nodes.Const | nodes.List | nodes.Tuple) or not _is_constant(template):
        yield node.lineno, "the name of another template is not written out"
    elif captured and isinstance(node, nodes.Include):
        yield (
            node.lineno,
            "a template, which may hold the reader, is included inside a filter, macro or {% set %}",
        )
    elif isinstance(node, nodes.Import | nodes.FromImport) and node.with_context:
        yield node.lineno, "macros are imported with the reader in their context"


def _uses(node: nodes.Node) -> Iterator[Fault]:
    for name in (node, *node.find_all(nodes.Name)):
        if isinstance(name, nodes.Name) and name.name in _NAMES | _INDIRECT:
            yield name.lineno, f"“{name.name}” is more than printed"


def _arguments(call: nodes.Call, harmless: Sequence[nodes.Keyword]) -> Iterator[Fault]:
    for argument in call.iter_child_nodes(exclude=("node",)):
        if argument not in harmless:
            yield from _uses(argument)


def _is_block(node: nodes.Node) -> bool:
    """Tell whether it is `super` or `self.name`."""
    return _is_name(node.node, "self") if isinstance(node, nodes.Getattr) else _is_name(node, "super")


def _is_mark(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Getattr):
        return _is_name(node.node, "reader") and node.attr in FIELDS
    return _is_name(node, *SLOTS)


def _is_name(node: nodes.Node, *names: str) -> bool:
    return isinstance(node, nodes.Name) and node.name in names


def _written(node: nodes.Node) -> str:
    return f"reader.{node.attr}" if isinstance(node, nodes.Getattr) else str(getattr(node, "name", ""))


def _is_constant(node: nodes.Node) -> bool:
    return not any(True for _ in node.find_all(nodes.Name)) and not any(True for _ in node.find_all(nodes.Call))
