"""Download a file once, check it, and keep it: what every `fetch_*` of `mflib.datasets` needs.

Files are kept in the folder that the environment variable MFLIB_DATA names, or else where the
system keeps the caches of the user. A file that lies there already and has the right checksum needs
no network. Nothing is ever unpickled, and no archive is unpacked to disk.
"""

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from zipfile import BadZipFile, ZipFile

import pooch


class RemoteFile(NamedTuple):
    """A file on a server: what it is called in a sentence and in the cache, and its address."""

    title: str
    name: str
    url: str
    sha256: str


def cache_folder() -> Path:
    """Return the folder that keeps what was downloaded; it need not exist yet."""
    named = os.environ.get("MFLIB_DATA")
    try:
        return Path(named or pooch.os_cache("mflib")).expanduser()
    except RuntimeError as error:
        raise OSError(f"MFLIB_DATA is {named!r}; nobody here has that home folder") from error


def download(file: RemoteFile) -> Path:
    """Return the path of the file in the cache, downloading it if need be, with a progress bar.

    Raises
    ------
    ConnectionError
        If the file is not in the cache and cannot be downloaded.
    OSError
        If what arrives does not have the expected checksum (it is thrown away), or if the cache
        cannot be read or written.
    """
    from requests import RequestException  # slow to import, and rarely needed

    pooch.get_logger().setLevel("WARNING")  # the progress bar says enough
    failure = f"{file.title} could not be downloaded from {urlsplit(file.url).netloc}"
    checksum, folder = f"sha256:{file.sha256}", cache_folder()
    try:
        path = pooch.retrieve(file.url, checksum, fname=file.name, path=folder, progressbar=True)
    except RequestException as error:
        raise ConnectionError(f"{failure}: {_what_happened(error)}") from error
    except ValueError as error:  # pooch's word for a wrong checksum
        raise OSError(
            f"{failure}: what arrived does not have the expected SHA-256 and was thrown away; "
            "it was damaged on the way, or the file on the server has changed"
        ) from error
    except OSError as error:  # of the disk: what requests has to say was caught above
        raise cache_failure(file.title, error) from error
    return Path(path)


def _what_happened(error):
    """Return in a few words why a request failed."""
    from requests import exceptions
    from urllib3.exceptions import MaxRetryError

    match error:
        case exceptions.HTTPError():
            error.response.close()  # pooch leaves it open
            return f"it answered {error.response.status_code} {error.response.reason}"
        case exceptions.SSLError():
            return "its certificate is not accepted here"
        case exceptions.ConnectionError(args=(MaxRetryError(), *_)):  # it never began
            return "there is no connection"
    return "the download broke off, and what had arrived was thrown away; try again"


def cache_failure(title: str, error: OSError) -> OSError:
    """Return the sentence for a cache that cannot be read or written."""
    reason = (error.__cause__ or error).strerror or error  # pooch puts words of its own around it
    return OSError(
        f"{title} could not be read from, or kept in, the folder {cache_folder()} ({reason}); "
        "name another one in the variable MFLIB_DATA"
    )


def read_archive(path: Path, names: list[str]) -> list[bytes]:
    """Return the contents of the named members of a ZIP archive.

    They are read in memory and asked for by their exact names, so a member whose name leads out of
    its folder ("../x") can overwrite nothing.

    Raises
    ------
    OSError
        If the file is not a ZIP archive, or a member is damaged or missing.
    """
    try:
        with ZipFile(path) as archive:
            return [archive.read(name) for name in names]
    except (BadZipFile, KeyError) as error:
        raise OSError(f"{path.name} is not the expected archive: {error.args[0]}") from error


def read_folder(title: str, folder: Path, needed: list[str], optional: list[str]) -> list[bytes]:
    """Return the contents of files in a folder: the needed ones, and the optional if all are there.

    Raises
    ------
    OSError
        If a needed file is missing, or one cannot be read.
    """
    missing = [name for name in needed if not os.path.isfile(folder / name)]
    if missing:
        raise OSError(f"{missing[0]} is missing in the folder {folder.name} of the cache")
    complete = all(os.path.isfile(folder / name) for name in optional)
    try:
        return [(folder / name).read_bytes() for name in needed + (optional if complete else [])]
    except OSError as error:
        raise cache_failure(title, error) from error
