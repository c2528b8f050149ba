"""The publication of most tests."""

from newsletter.publication import identity

IDENTITY = identity.Identity(
    name="The Gazette",
    site_url="https://gazette.example",
    postal_address="Gazette Ltd, 1 Example Street",
    contact_address="editor@gazette.example",
    privacy_url="https://gazette.example/privacy",
    digest_from="news@gazette.example",
    confirmation_from="confirm@gazette.example",
)
