"""What the demo found, as one document for programs and as tables for people."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from newsletter.demo.story import LOGIN, Story
from newsletter.demo.telling import Telling, in_words


def document(telling: Telling, story: Story | None) -> dict[str, Any]:
    """Return everything; without a story that began only why it did not."""
    found: dict[str, Any] = {
        "ok": telling.ok,
        "problems": telling.problems,
        "seconds": round(sum(step.seconds for step in telling.steps), 2),
        "steps": [asdict(step) for step in telling.steps],
        "deliveries": {},
        "caught": 0,
    }
    if story is None:
        return found
    return found | {
        "deliveries": story.deliveries,
        "caught": story.caught,
        "runs": [asdict(one) for one in story.rounds if one.run is not None],
        "addresses": addresses(story),
        "operator": {"login": LOGIN, "password": story.password},
    }


def addresses(story: Story) -> dict[str, str]:
    """Return the addresses to open."""
    ports = story.house.ports
    return {
        "site": f"{ports.address('site')}/",
        "sign_up": f"{ports.address('web')}/subscribe",
        "inbox": f"{ports.address('inbox')}/",
        "operators": f"{ports.address('web')}/admin/",
    }


def show(console: Console, telling: Telling, story: Story) -> None:
    """Print the tables."""
    steps = Table(title="The story", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("Step", "Result"):
        steps.add_column(heading)
    steps.add_column("Seconds", justify="right")
    for step in telling.steps:
        steps.add_row(step.name, in_words(step.counts), f"{step.seconds:.1f}")
    runs = Table(title="The digests", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("Run", "Cadence", "Planned", "Accepted", "Caught"):
        runs.add_column(heading, justify="left" if heading == "Cadence" else "right")
    for one in story.rounds:
        if one.run is not None:
            runs.add_row(*map(str, asdict(one).values()))
    console.print(steps, *([runs] if story.rounds else []))
    states = ", ".join(f"{number:,} {state}" for state, number in story.deliveries.items() if number)
    console.print(f"All deliveries, confirmations too: {states or 'none'}. Mails caught: {story.caught:,}.")
    console.print("All counts agree." if telling.ok else "\n".join(["Something is wrong:", *telling.problems]))


def show_addresses(console: Console, story: Story) -> None:
    """Print where to go on."""
    places = Table(title="Open", title_justify="left", box=None, show_header=False)
    for name, url in addresses(story).items():
        places.add_row(name.replace("_", "-"), url)
    places.add_row("", f"login {LOGIN}, password {story.password}")
    command = Path(sys.executable).with_name("newsletter")
    places.add_row("command", f"cd {story.house.ground.folder} && {command} runs list")
    console.print(places, soft_wrap=True)
    console.print("It all stays up until Ctrl-C.")
