"""The one exception whose message is meant for the person at the console."""


class XfmrError(Exception):
    """An error that the user can fix. Its message is one line that names the problem and the remedy.

    Jobs print it as ``error: ...`` and exit with status 2; any other exception is a bug.
    """
