"""Every room's tables, for whoever needs the whole picture: commands, migrations, and tests that look at all of it."""

import newsletter.audience.models
import newsletter.content.models
import newsletter.delivery.models
import newsletter.digests.models
import newsletter.operators.models
import newsletter.publication.models  # noqa: F401  (imported to be registered)
