"""Words to bytes: templates, fragments, headers, MIME. Knows no table, no network and no web framework.

`DigestComposer` makes the mails of one run, language and zone; `confirmation` and `already_subscribed` make the two
mails that are not list mails. All end in a `Message`, the bytes as they cross the wire.
"""
