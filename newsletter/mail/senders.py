"""What a sender must say about itself before any mail leaves (standards F11, F13, F14, J14, L11, L13)."""

from collections.abc import Iterable, Iterator, Sequence

from newsletter.mail.colour import is_colour
from newsletter.publication import checks


def problems(
    *,
    name: str,
    postal_address: str,
    addresses: Sequence[str],
    list_domain: str,
    sender_id: str,
    colours: Iterable[str],
) -> list[str]:
    """Return a sentence for each thing that keeps the publication from sending.

    `addresses` are contact, sender of digests and sender of confirmations, in this order.
    """
    judged = (
        checks.display_name(name),
        None if postal_address.strip() else "The postal address is missing.",
        *_mailboxes(addresses),
        checks.two_senders(*addresses[1:]),
        checks.list_domain(list_domain),
        checks.sender_id(sender_id),
        None if all(map(is_colour, colours)) else "Accent colours are written as #rrggbb.",
    )
    return [problem for problem in judged if problem]


def _mailboxes(addresses: Sequence[str]) -> Iterator[str | None]:
    for role, text in zip(("contact address", "digests' sender", "confirmations' sender"), addresses, strict=True):
        yield checks.mailbox(f"The {role}", text)
