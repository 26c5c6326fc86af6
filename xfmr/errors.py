"""The one exception whose message is meant for the person at the console."""


class XfmrError(Exception):
    """Something the user can mend: one line that names what is wrong and the remedy.

    Jobs print it as ``error: ...`` and exit with status 2; any other exception is a bug.
    """
