"""What object stores need besides a path: how they are opened, and what to do about their errors.

Credentials, region and endpoint come from where AWS's own tools take them: ``AWS_ACCESS_KEY_ID`` and its neighbours,
``AWS_PROFILE`` and ``~/.aws``, the machine's role, ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL``. pyarrow heeds
them all where the filesystem is made from a URI; it does not read an ``endpoint_url`` in ``~/.aws/config``.
"""

from __future__ import annotations

from typing import cast

import pyarrow as pa
from pyarrow import fs

from xfmr.errors import XfmrError

# What S3 says, as pyarrow passes it on, and what a person can do about it.
_REMEDIES = {
    "AWS Error NO_SUCH_BUCKET": "there is no such bucket: check its name",
    "AWS Error ACCESS_DENIED": "access denied: check AWS_ACCESS_KEY_ID, AWS_PROFILE or the machine's role",
    "AWS Error INVALID_ACCESS_KEY_ID": "the access key is not known there: check AWS_ACCESS_KEY_ID or AWS_PROFILE",
    "AWS Error SIGNATURE_DOES_NOT_MATCH": "the secret key is wrong: check AWS_SECRET_ACCESS_KEY or AWS_PROFILE",
    "ExpiredToken": "the credentials have expired: sign in anew",
    "AWS Error NETWORK_CONNECTION": "no answer: check the network, and AWS_ENDPOINT_URL where it is set",
    "AWS Error SLOW_DOWN": "the store asks for fewer requests: run the same command again later",
}


def open_filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the filesystem of a path or URI, and the path within it.

    Raises:
        XfmrError: Where the scheme is not known, or a bucket's region cannot be found out.
    """
    try:
        return cast(tuple[fs.FileSystem, str], fs.FileSystem.from_uri(_in_one_request(uri)))
    except UnicodeEncodeError as error:
        raise XfmrError(f"{uri!a}: not in UTF-8: give it another name") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise XfmrError(f"{uri}: not a path or URI that can be opened: {line_of(error)}") from error


def _in_one_request(uri: str) -> str:
    """Let a small file on S3 be one PUT, where pyarrow would begin an upload in parts, send one, and complete it.

    A writer that is killed then leaves nothing behind, not even parts that are paid for and seen by no listing.
    """
    if not uri.startswith("s3://") or "allow_delayed_open" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}allow_delayed_open=true"


def split_file(uri: str) -> tuple[str, str]:
    """Split the URI of a file into that of its folder, with the same options, and its name."""
    path, mark, options = _options(uri)
    folder, _, name = path.rpartition("/")
    return f"{folder or '/'}{mark}{options}", name


def below(uri: str, name: str) -> str:
    """Return the URI of a file or folder below another, whose options it keeps: ``s3://bucket/run?region=x``."""
    folder, mark, options = _options(uri)
    return f"{folder.rstrip('/')}/{name}{mark}{options}"


def _options(uri: str) -> tuple[str, str, str]:
    return uri.partition("?") if "://" in uri else (uri, "", "")


def line_of(error: Exception) -> str:
    """Say an error in one line, with what to do about it where that is known."""
    words = str(error).partition("\n")[0]
    remedy = next((remedy for sign, remedy in _REMEDIES.items() if sign in words), None)
    return remedy or words
