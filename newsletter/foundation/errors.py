"""The error tree. Rooms raise the domain's words; adapters translate them to HTTP, exit codes and retries.

Every message is one or two plain sentences that say what is wrong and, where there is one, the way out: it may be
shown to the person who caused it as it stands.
"""


class NewsletterError(Exception):
    """Something the person or program that asked can be told about."""

    retry = False
    """Whether asking again later, unchanged, may help."""


class SettingsError(NewsletterError):
    """The settings are not usable; the message lists every problem."""


class NotFoundError(NewsletterError):
    """There is no such thing, or not for whoever asks."""


class InvalidError(NewsletterError):
    """What was sent is not acceptable."""


class ConflictError(NewsletterError):
    """It was done already, or something else is in its way."""


class TokenError(NewsletterError):
    """The link or form token was not made here, or not for this purpose."""


class TokenExpiredError(TokenError):
    """The link was good once; its time is over."""


class FetchError(NewsletterError):
    """A source could not be fetched."""

    def __init__(self, message: str, *, status: int | None = None, retry_after: int | None = None) -> None:
        """Keep beside the sentence the HTTP status, and the seconds the server asked us to stay away."""
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class TemporaryFetchError(FetchError):
    """A source could not be fetched just now."""

    retry = True


class ParseError(NewsletterError):
    """A document is no feed that can be read."""


class RenderError(NewsletterError):
    """A mail could not be made as the standards want it, so it is not made at all."""
