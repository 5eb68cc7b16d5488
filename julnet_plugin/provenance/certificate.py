"""What files are signed with: the studio's certificate, or one for this machine that is made when it is first needed.

`JULNET_SIGN_CERT` and `JULNET_SIGN_KEY` name the studio's chain and private key (PEM). Without them a local authority
and a certificate are made once: such credentials prove that a file was not changed, not who made it.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from julnet_plugin.errors import SettingsError
from julnet_plugin.provenance.home import home

if TYPE_CHECKING:
    from cryptography import x509

CERTIFICATE, KEY = "JULNET_SIGN_CERT", "JULNET_SIGN_KEY"
_CHAIN_FILE, _KEY_FILE = "chain.pem", "key.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A certificate chain and its private key.

    Attributes:
        chain: PEM, the signer's own certificate first.
        key: PEM, PKCS #8.
        algorithm: C2PA's name of the signature: "ed25519", "es256", "ps256" …
        local: made by this machine for itself.
    """

    chain: bytes
    key: bytes
    algorithm: str
    local: bool


def identity() -> Identity:
    """The studio's identity where the environment names one, else this machine's own.

    Raises:
        SettingsError: the studio's files cannot be read, or do not belong together.
        OSError: this machine's own cannot be kept.
    """
    chain, key = os.environ.get(CERTIFICATE), os.environ.get(KEY)
    if chain or key:
        if not (chain and key):
            raise SettingsError(f"only one of {CERTIFICATE} and {KEY} is set: set both, or neither")
        return _read(Path(chain), Path(key), local=False)
    folder = home() / "certificate"
    if not (folder / _KEY_FILE).exists():
        _make_local(folder)
    return _read(folder / _CHAIN_FILE, folder / _KEY_FILE, local=True)


def trust_anchors() -> str:
    """PEM of the authorities whose signatures `verify` calls known: the studio's and this machine's."""
    found = []
    for path in (os.environ.get(CERTIFICATE), home() / "certificate" / _CHAIN_FILE):
        if path and Path(path).is_file():
            found.append(Path(path).read_text("ascii", "replace"))
    return "\n".join(found)


def _read(chain_path: Path, key_path: Path, *, local: bool) -> Identity:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        chain, key = chain_path.read_bytes(), key_path.read_bytes()
        own = x509.load_pem_x509_certificates(chain)[0]
        private = serialization.load_pem_private_key(key, password=None)
    except (OSError, ValueError, TypeError, IndexError) as exc:
        raise SettingsError(
            f"the certificate {chain_path} and key {key_path} cannot be used ({exc}): give PEM files, the key "
            "unencrypted"
        ) from exc
    if private.public_key() != own.public_key():
        raise SettingsError(f"{key_path} is not the key of the first certificate of {chain_path}: give a pair")
    return Identity(chain=chain, key=key, algorithm=_algorithm(private), local=local)


def _algorithm(private: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(private, rsa.RSAPrivateKey):
        return "ps256"
    curves = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in curves:
        return curves[private.curve.name]
    raise SettingsError("the signing key is of a kind that content credentials do not know: use Ed25519, EC or RSA")


def _make_local(folder: Path) -> None:
    """Make this machine's authority and certificate, whole or not at all; whoever comes second uses the first's."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    folder.parent.mkdir(parents=True, exist_ok=True)
    authority_key, own_key = (ed25519.Ed25519PrivateKey.generate() for _ in range(2))
    authority = _certificate("JULNet local authority", authority_key.public_key(), None, authority_key)
    own = _certificate("JULNet on this machine", own_key.public_key(), authority, authority_key)
    pem = serialization.Encoding.PEM
    part = Path(tempfile.mkdtemp(prefix=".certificate", dir=folder.parent))
    try:
        (part / _CHAIN_FILE).write_bytes(own.public_bytes(pem) + authority.public_bytes(pem))
        fd = os.open(part / _KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(
                own_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            )  # the authority's own key is not kept: it signs nothing else
        part.rename(folder)
    except OSError:
        if not (folder / _KEY_FILE).exists():
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _certificate(name: str, public: Any, issuer: x509.Certificate | None, signing_key: Any) -> x509.Certificate:
    """One certificate as C2PA wants them. Valid from long ago, so that a wrong clock does not make it invalid."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "JULNet (local)"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    usage = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    usage |= {"digital_signature": True} if issuer else {"key_cert_sign": True, "crl_sign": True}
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2050, 1, 1, tzinfo=dt.UTC))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
    )
    if issuer is not None:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=False)
    digest = None if isinstance(signing_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(signing_key, digest)
