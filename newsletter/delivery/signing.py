"""Who signs a mail: the From address's domain has keys or it has none, and then mail leaves as it always did."""

from sqlalchemy.orm import Session

from newsletter.foundation.secrets import Vault
from newsletter.mail.dkim import Signer, SigningKey
from newsletter.publication import dkim


def signer_for(session: Session, vault: Vault, from_address: str) -> Signer | None:
    """Return what signs mail from `from_address` now; None while none of its domain's keys is active.

    One small query and well under a millisecond: callers ask anew for each group of mails, so that operators' changes
    of keys are seen at once in every process. Raises InvalidError when a key cannot be opened.
    """
    keys = dkim.signing_keys(session, vault, from_address.rpartition("@")[2])
    return Signer([SigningKey(key.domain, key.selector, key.private) for key in keys]) if keys else None
