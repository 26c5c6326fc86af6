"""Object stores: opening a filesystem from a URI, and remedies for the store's errors.

Credentials, region and endpoint are configured as for AWS's own tools: ``AWS_ACCESS_KEY_ID`` and the related
variables, ``AWS_PROFILE`` and ``~/.aws``, the machine's role, ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL``.
pyarrow uses them all if the filesystem is made from a URI. It does not read an ``endpoint_url`` in ``~/.aws/config``.
"""

from __future__ import annotations

from typing import cast

import pyarrow as pa
from pyarrow import fs

from xfmr.errors import XfmrError

# S3's errors, as they appear in pyarrow's messages, and their remedies.
_REMEDIES = {
    "AWS Error NO_SUCH_BUCKET": "there is no such bucket: check its name",
    "AWS Error ACCESS_DENIED": "access denied: check AWS_ACCESS_KEY_ID, AWS_PROFILE or the machine's role",
    "AWS Error INVALID_ACCESS_KEY_ID": "the access key is not known there: check AWS_ACCESS_KEY_ID or AWS_PROFILE",
    "AWS Error SIGNATURE_DOES_NOT_MATCH": "the secret key is wrong: check AWS_SECRET_ACCESS_KEY or AWS_PROFILE",
    "ExpiredToken": "the credentials have expired: sign in again",
    "AWS Error NETWORK_CONNECTION": "no answer: check the network, and AWS_ENDPOINT_URL where it is set",
    "AWS Error SLOW_DOWN": "the store asks for fewer requests: run the same command again later",
}


def open_filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the filesystem of a path or URI, and the path within it.

    Raises:
        XfmrError: If the scheme is unknown, or a bucket's region cannot be determined.
    """
    try:
        return cast(tuple[fs.FileSystem, str], fs.FileSystem.from_uri(_in_one_request(uri)))
    except UnicodeEncodeError as error:
        raise XfmrError(f"{uri!a}: not in UTF-8: give it another name") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise XfmrError(f"{uri}: not a path or URI that can be opened: {line_of(error)}") from error


def _in_one_request(uri: str) -> str:
    """Make pyarrow write a small file to S3 with one PUT instead of a multipart upload.

    A writer that is killed then leaves nothing behind, not even parts that cost money and appear in no listing.
    """
    if not uri.startswith("s3://") or "allow_delayed_open" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}allow_delayed_open=true"


def split_file(uri: str) -> tuple[str, str]:
    """Split the URI of a file into the URI of its folder, with the same options, and the file's name."""
    path, mark, options = _options(uri)
    folder, _, name = path.rpartition("/")
    return f"{folder or '/'}{mark}{options}", name


def below(uri: str, name: str) -> str:
    """Return the URI of a file or folder below another, with the same options: ``s3://bucket/run?region=x``."""
    folder, mark, options = _options(uri)
    return f"{folder.rstrip('/')}/{name}{mark}{options}"


def _options(uri: str) -> tuple[str, str, str]:
    return uri.partition("?") if "://" in uri else (uri, "", "")


def line_of(error: Exception) -> str:
    """Return the remedy of an error if it is known, else the first line of its message."""
    first_line = str(error).partition("\n")[0]
    remedy = next((remedy for sign, remedy in _REMEDIES.items() if sign in first_line), None)
    return remedy or first_line
