"""SMTP and POP3 sessions in one crowd, for the soak: the kinds of both leak tests.

Their accounts differ, so that no SMTP session reads the letters that the POP3 sessions count.
"""

from __future__ import annotations

from tests.fuzz import leak_pop3, leak_smtp

USERS = leak_smtp.USERS | leak_pop3.USERS
KINDS = leak_smtp.KINDS + leak_pop3.KINDS
ALONE = leak_smtp.ALONE + leak_pop3.ALONE
prepare = leak_pop3.prepare
