"""What can go wrong in the demo besides the product's own errors."""

from newsletter.foundation.errors import NewsletterError


class StoryError(NewsletterError):
    """The story cannot go on: what should have happened did not."""
