"""imap_session - one session by Python's own client, for the tests that look at mail by IMAP."""
import contextlib
import imaplib

from suite import PASSWORD, equal


@contextlib.contextmanager
def session(s, user="u1", box="INBOX", port=143):
    m = imaplib.IMAP4("127.0.0.1", port + s.offset, timeout=20)
    try:
        m.login(user, PASSWORD)
        if box:
            good(m.select(box))
        yield m
    finally:
        with contextlib.suppress(Exception):
            m.logout()


def good(answer):
    equal(answer[0], "OK", "the answer %r" % (answer[1],))
    return answer[1]
