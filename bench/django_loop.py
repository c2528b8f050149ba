"""The peer: a newsletter of django-newsletter, sent as its own command sends it. Run by a Python that has it.

Arguments: the sink's port, the number of readers, the size of a mail in bytes. Prints the seconds that submitting took.
"""

# Not for our type checker: Django is in an environment of its own.
# mypy: ignore-errors

import logging
import sys
import tempfile
import time

import django
from django.conf import settings

port, count, size = map(int, sys.argv[1:])
folder = tempfile.mkdtemp()
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/db.sqlite3"}},
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sites",
        "sorl.thumbnail",
        "newsletter",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    SITE_ID=1,
    USE_TZ=True,
    NEWSLETTER_USE_HTTPS=True,
    NEWSLETTER_THUMBNAIL="sorl-thumbnail",
    ROOT_URLCONF="newsletter.urls",
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    EMAIL_HOST="127.0.0.1",
    EMAIL_PORT=port,
)
django.setup()

from django.core.management import call_command  # noqa: E402  (after the settings)
from newsletter.models import Article, Message, Newsletter, Submission, Subscription  # noqa: E402

call_command("migrate", verbosity=0)
newsletter = Newsletter.objects.create(
    title="Daily", slug="daily", email="digest@gazette.example.org", sender="Gazette"
)
message = Message.objects.create(newsletter=newsletter, title="The day", slug="the-day")
# Each article's words are in the mail twice, in text and in HTML.
words, articles = "Some forty words of summary, generated so that there is something to read of usual length. ", 16
text = words * max(1, size // (2 * articles * len(words)))
for number in range(articles):
    url = f"https://gazette.example.org/{number}"
    Article.objects.create(post=message, title=f"Article {number}", text=text, url=url, sortorder=number)
Subscription.objects.bulk_create(
    Subscription(newsletter=newsletter, email_field=f"reader-{number}@readers.example", subscribed=True)
    for number in range(count)
)
submission = Submission.from_message(message)
# A mail that could not be sent is only logged; here it ends everything.
failed = logging.Handler(logging.ERROR)
failed.emit = lambda record: sys.exit(record.getMessage())
logging.getLogger("newsletter").addHandler(failed)
begun = time.perf_counter()
submission.submit()
print(time.perf_counter() - begun)
