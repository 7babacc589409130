"""TLS of the host: whom it trusts, and as whom it speaks. The guest sees nothing of the files.

The system's authorities are those that OpenSSL finds: SSL_CERT_FILE and SSL_CERT_DIR if they are set, else its
defaults, else (on a machine without any) certifi's.
"""

from __future__ import annotations

import functools
import os
import re
import ssl
from pathlib import Path
from typing import NamedTuple, NoReturn

_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
_KEPT_CONTEXTS = 64


class TlsFiles(NamedTuple):
    """PEM files of one connection: `ca_file` trusted instead of the system's authorities, `extra_ca_file` as well.

    `client_cert` may hold its key, too.
    """

    ca_file: str | None = None
    extra_ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None


class TlsFileError(Exception):
    """A file cannot be used: `what` says which as the API calls it (not where it is), `reason` why."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what} cannot be loaded: {reason}")
        self.what = what
        self.reason = reason


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """A verifying context; made once for these files as they are now, which takes tens of ms.

    Raises:
        TlsFileError: one of them cannot be used (any more).
    """
    stamps = tuple(_stamp(what, path) for what, path in zip(files._fields, files, strict=True))
    return _context(files, stamps, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


def check_authorities(path: str) -> None:
    """Load a file of authorities, to see whether that works.

    Raises:
        TlsFileError: it does not.
    """
    _check_authorities(path, _stamp("ca_file", path))


def check_identity(client_cert: str, client_key: str | None) -> None:
    """Load a certificate with its key, to see whether that works.

    Raises:
        TlsFileError: it does not.
    """
    stamps = (_stamp("client_cert", client_cert), _stamp("client_key", client_key))
    _check_identity(client_cert, client_key, stamps)


def _stamp(what: str, path: str | None) -> tuple[int, int, int] | None:
    """What changes when a file is exchanged."""
    if path is None:
        return None
    try:
        found = os.stat(path)
    except OSError as error:
        raise TlsFileError(what, error.strerror or str(error)) from None
    return found.st_ino, found.st_size, found.st_mtime_ns


@functools.lru_cache(_KEPT_CONTEXTS)
def _check_authorities(path: str, _stamps: object) -> None:
    _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "ca_file", path)


@functools.lru_cache(_KEPT_CONTEXTS)
def _check_identity(client_cert: str, client_key: str | None, _stamps: object) -> None:
    _identify(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), client_cert, client_key)


@functools.lru_cache(_KEPT_CONTEXTS)
def _context(files: TlsFiles, _stamps: object, *_environment: str | None) -> ssl.SSLContext:
    if files.ca_file is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _trust(context, "ca_file", files.ca_file)
    else:
        context = _system_context()
    if files.extra_ca_file is not None:
        _trust(context, "ca_file", files.extra_ca_file)
    if files.client_cert is not None:
        _identify(context, files.client_cert, files.client_key)
    return context


def _system_context() -> ssl.SSLContext:
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    context = ssl.create_default_context()
    # OpenSSL ignores what is wrong with them: whoever set them would look for the reason elsewhere.
    if file:
        _trust(context, "SSL_CERT_FILE", file)
    if folder and not any(map(_has_certificates, folder.split(os.pathsep))):
        raise TlsFileError("SSL_CERT_DIR", "no certificates under their hashes; `openssl rehash` makes them")
    if not file and not folder:
        paths = ssl.get_default_verify_paths()
        if not paths.cafile and not _has_certificates(paths.capath or os.devnull):
            import certifi

            context.load_verify_locations(cafile=certifi.where())
    return context


def _has_certificates(folder: str) -> bool:
    path = Path(folder)
    return path.is_dir() and any(_HASHED.fullmatch(entry.name) for entry in path.iterdir())


def _trust(context: ssl.SSLContext, what: str, path: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        reason = "it holds no certificate (PEM)" if error.reason == "NO_CERTIFICATE_OR_CRL_FOUND" else str(error)
        raise TlsFileError(what, reason) from None
    except (OSError, ValueError) as error:
        raise TlsFileError(what, getattr(error, "strerror", None) or str(error)) from None


def _identify(context: ssl.SSLContext, client_cert: str, client_key: str | None) -> None:
    what = "client_cert" if client_key is None else "client_cert with its client_key"
    try:
        context.load_cert_chain(client_cert, client_key, password=_no_password)
    except _EncryptedKeyError:
        raise TlsFileError(what, "the key is encrypted; `openssl pkey` makes one that is not") from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsFileError(what, "the key is not that of the certificate") from None
        raise TlsFileError(what, "a certificate and its private key are needed (PEM)") from None
    except (OSError, ValueError) as error:
        raise TlsFileError(what, getattr(error, "strerror", None) or str(error)) from None


class _EncryptedKeyError(Exception):
    pass


def _no_password() -> NoReturn:
    # OpenSSL would ask the terminal.
    raise _EncryptedKeyError
