"""cryptography over the guest's OpenSSL: known answers, every kind of key and container, documented errors."""

import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import cmac, constant_time, hashes, hmac, keywrap, padding, poly1305, serialization
from cryptography.hazmat.primitives.asymmetric import dh, dsa, ec, ed448, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.asymmetric import padding as asymmetric
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf import concatkdf, hkdf, kbkdf, pbkdf2, scrypt, x963kdf
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from cryptography.x509.oid import NameOID

backend = default_backend()
assert backend.openssl_version_text().startswith("OpenSSL 3.0.")


def error_of(action):
    try:
        action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def digest(algorithm, data=b"abc"):
    context = hashes.Hash(algorithm, backend)
    context.update(data)
    return context.finalize().hex()


# FIPS 180-4, FIPS 202, RFC 7693.
assert digest(hashes.SHA256()).startswith("ba7816bf8f01cfea")
assert digest(hashes.SHA3_256()).startswith("3a985da74fe225b2")
assert digest(hashes.SHAKE128(16)) == "5881092dd818bf5cf8a3ddb793fbcba7"
assert digest(hashes.BLAKE2b(64)).startswith("ba80a53f981c4d0d")
mac = hmac.HMAC(b"Jefe", hashes.SHA256(), backend)
mac.update(b"what do ya want for nothing?")
assert mac.finalize().hex().startswith("5bdcc146bf60754e")
# RFC 4493, example 2; RFC 8439, section 2.5.2.
tag = cmac.CMAC(algorithms.AES(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")), backend)
tag.update(bytes.fromhex("6bc1bee22e409f96e93d7e117393172a"))
assert tag.finalize().hex() == "070a16b46b4d4144f79bdd9dd04a287c"
key = bytes.fromhex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b")
assert poly1305.Poly1305.generate_tag(key, b"Cryptographic Forum Research Group").hex() == (
    "a8061dc1305136c6c22b8baf0c0127a9"
)

# SP 800-38A, F.2.1 and F.5.1.
key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
block = bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")


def encrypt(algorithm, mode, data):
    context = Cipher(algorithm, mode, backend).encryptor()
    return context.update(data) + context.finalize()


def decrypt(algorithm, mode, data):
    context = Cipher(algorithm, mode, backend).decryptor()
    return context.update(data) + context.finalize()


assert encrypt(algorithms.AES(key), modes.CBC(bytes(range(16))), block).hex() == "7649abac8119b246cee98e9b12e9197d"
counter = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
assert encrypt(algorithms.AES(key), modes.CTR(counter), block).hex() == "874d6191b620e3261bef6864990db6ce"
for algorithm, size in (
    (algorithms.TripleDES(key + key[:8]), 8),
    (algorithms.Camellia(key), 16),
    # These come from the legacy provider.
    (algorithms.Blowfish(key), 8),
    (algorithms.CAST5(key), 8),
    (algorithms.SEED(key), 16),
    (algorithms.IDEA(key), 8),
):
    mode = modes.CBC(bytes(size))
    assert decrypt(algorithm, mode, encrypt(algorithm, mode, bytes(range(32)))) == bytes(range(32)), algorithm.name
assert encrypt(algorithms.ARC4(b"Key12"), None, b"Plaintext") != b"Plaintext"
assert "not a multiple of the block length" in error_of(
    lambda: encrypt(algorithms.AES(key), modes.CBC(bytes(16)), b"x")
)
padder = padding.PKCS7(128).padder()
assert padder.update(b"abc") + padder.finalize() == b"abc" + b"\x0d" * 13

# McGrew and Viega's GCM test case 3, without its second half.
gcm = AESGCM(bytes.fromhex("feffe9928665731c6d6a8f9467308308"))
sealed = gcm.encrypt(bytes.fromhex("cafebabefacedbaddecaf888"), bytes.fromhex("d9313225f88406e5a55909c5aff5269a"), b"")
assert sealed[:16].hex() == "42831ec2217774244b7221b784d0d49c"
for aead in (gcm, AESCCM(key), ChaCha20Poly1305(key * 2)):
    sealed = aead.encrypt(bytes(12), b"text", b"header")
    assert aead.decrypt(bytes(12), sealed, b"header") == b"text"
    assert error_of(lambda: aead.decrypt(bytes(12), sealed, b"other")).startswith(InvalidTag.__name__)  # noqa: B023
# RFC 3394, section 4.1.
wrapped = keywrap.aes_key_wrap(bytes(range(16)), bytes.fromhex("00112233445566778899aabbccddeeff"), backend)
assert wrapped.hex() == "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"

token = Fernet(Fernet.generate_key())
assert token.decrypt(token.encrypt(b"secret")) == b"secret"
assert error_of(lambda: token.decrypt(b"nonsense")).startswith(InvalidToken.__name__)

# RFC 6070, RFC 7914, RFC 5869 (test case 1).
assert (
    pbkdf2.PBKDF2HMAC(hashes.SHA1(), 20, b"salt", 2, backend).derive(b"password").hex()
    == "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"
)
assert scrypt.Scrypt(b"NaCl", 64, 1024, 8, 16, backend).derive(b"password").hex().startswith("fdbabe1c9d347200")
okm = hkdf.HKDF(hashes.SHA256(), 42, bytes(range(13)), bytes(range(0xF0, 0xFA)), backend).derive(b"\x0b" * 22)
assert okm.hex().startswith("3cb25f25faacd57a90434f64d0362f2a")
assert len(concatkdf.ConcatKDFHash(hashes.SHA256(), 40, None, backend).derive(b"x")) == 40
assert len(x963kdf.X963KDF(hashes.SHA256(), 40, None, backend).derive(b"x")) == 40
counter_kdf = kbkdf.KBKDFHMAC(
    hashes.SHA256(), kbkdf.Mode.CounterMode, 40, 4, 4, kbkdf.CounterLocation.BeforeFixed, b"l", b"c", None, backend
)
assert len(counter_kdf.derive(b"x")) == 40

# RSA
rsa_key = rsa.generate_private_key(65537, 2048, backend)
pss = asymmetric.PSS(asymmetric.MGF1(hashes.SHA256()), asymmetric.PSS.MAX_LENGTH)
for scheme in (asymmetric.PKCS1v15(), pss):
    signature = rsa_key.sign(b"text", scheme, hashes.SHA256())
    rsa_key.public_key().verify(signature, b"text", scheme, hashes.SHA256())
    wrong = error_of(lambda: rsa_key.public_key().verify(signature, b"else", scheme, hashes.SHA256()))  # noqa: B023
    assert wrong.startswith(InvalidSignature.__name__), wrong
oaep = asymmetric.OAEP(asymmetric.MGF1(hashes.SHA256()), hashes.SHA256(), None)
for scheme in (asymmetric.PKCS1v15(), oaep):
    assert rsa_key.decrypt(rsa_key.public_key().encrypt(b"text", scheme), scheme) == b"text"
numbers = rsa_key.private_numbers()
assert numbers.p * numbers.q == numbers.public_numbers.n
assert numbers.private_key(backend).private_numbers() == numbers


def altered(**changes):
    names = ("p", "q", "d", "dmp1", "dmq1", "iqmp")
    values = {name: getattr(numbers, name) for name in names} | changes
    modulus = values["p"] * values["q"]
    return rsa.RSAPrivateNumbers(**values, public_numbers=rsa.RSAPublicNumbers(65537, modulus)).private_key(backend)


# A factor that is not prime, with everything else made to fit, and numbers that do not fit.
composite = next(c for c in range(numbers.p + 2, numbers.p + 1000, 2) if pow(2, c - 1, c) != 1 and c % 65537 != 1)
d = pow(65537, -1, (composite - 1) * (numbers.q - 1))
crt = {"dmp1": d % (composite - 1), "dmq1": d % (numbers.q - 1), "iqmp": pow(numbers.q, -1, composite)}
assert "Invalid private key" in error_of(lambda: altered(p=composite, d=d, **crt))
assert "Invalid private key" in error_of(lambda: altered(d=numbers.d + 2))
assert "Invalid private key" in error_of(lambda: altered(iqmp=numbers.iqmp + 1))

# Curves
for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1, ec.SECP256K1, ec.SECP224R1, ec.BrainpoolP256R1, ec.SECT233K1):
    ec_key = ec.generate_private_key(curve(), backend)
    ec_key.public_key().verify(ec_key.sign(b"text", ec.ECDSA(hashes.SHA256())), b"text", ec.ECDSA(hashes.SHA256()))
    peer = ec.generate_private_key(curve(), backend)
    shared = ec_key.exchange(ec.ECDH(), peer.public_key())
    assert shared == peer.exchange(ec.ECDH(), ec_key.public_key()), curve.name
# RFC 8032, section 7.1, test 1; RFC 7748, section 6.1.
seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
edwards = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
assert edwards.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a")
alice = x25519.X25519PrivateKey.from_private_bytes(
    bytes.fromhex("77076d0a7318a57d3c16c17251b26645df2ea1c0e29dae3d5ed8a9d3d7d3d0e1")
)
assert len(alice.exchange(x25519.X25519PrivateKey.generate().public_key())) == 32
goldilocks = ed448.Ed448PrivateKey.generate()
goldilocks.public_key().verify(goldilocks.sign(b"text"), b"text")
assert len(x448.X448PrivateKey.generate().exchange(x448.X448PrivateKey.generate().public_key())) == 56
dsa_key = dsa.generate_private_key(1024, backend)
dsa_key.public_key().verify(dsa_key.sign(b"text", hashes.SHA256()), b"text", hashes.SHA256())
parameters = dh.generate_parameters(2, 512, backend)
left, right = parameters.generate_private_key(), parameters.generate_private_key()
assert left.exchange(right.public_key()) == right.exchange(left.public_key())

# Containers
pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
ec_key = ec.generate_private_key(ec.SECP256R1(), backend)
for private in (rsa_key, ec_key, edwards, dsa_key):
    for encoding, load in ((pem, serialization.load_pem_private_key), (der, serialization.load_der_private_key)):
        for lock, password in (
            (serialization.NoEncryption(), None),
            (serialization.BestAvailableEncryption(b"geheim"), b"geheim"),
        ):
            data = private.private_bytes(encoding, serialization.PrivateFormat.PKCS8, lock)
            assert load(data, password, backend).private_bytes(
                der, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ) == private.private_bytes(der, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            if password:
                assert error_of(lambda: load(data, None, backend)) == (  # noqa: B023
                    "TypeError: Password was not given but private key is encrypted"
                )
                assert error_of(lambda: load(data, b"wrong", backend)).startswith("ValueError"), private  # noqa: B023
            else:
                assert "Password was given" in error_of(lambda: load(data, b"x", backend))  # noqa: B023
    public = private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert (
        serialization.load_pem_public_key(public, backend).public_bytes(
            pem, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        == public
    )
for private in (rsa_key, ec_key, dsa_key):
    openssl = private.private_bytes(
        pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.BestAvailableEncryption(b"geheim")
    )
    serialization.load_pem_private_key(openssl, b"geheim", backend)
    assert error_of(lambda: serialization.load_pem_private_key(openssl, b"wrong", backend)) == (  # noqa: B023
        "ValueError: Bad decrypt. Incorrect password?"
    )
for wrong in (b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
    assert "Could not deserialize key data" in error_of(
        lambda: serialization.load_pem_private_key(wrong, None, backend)  # noqa: B023
    )

name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "service.example")])
certificate = (
    x509.CertificateBuilder()
    .subject_name(name)
    .issuer_name(name)
    .public_key(ec_key.public_key())
    .serial_number(x509.random_serial_number())
    .not_valid_before(datetime.datetime(2024, 1, 1))
    .not_valid_after(datetime.datetime(2034, 1, 1))
    .add_extension(x509.SubjectAlternativeName([x509.DNSName("service.example")]), critical=False)
    .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    .sign(ec_key, hashes.SHA256(), backend)
)
again = x509.load_pem_x509_certificate(certificate.public_bytes(pem), backend)
assert again == certificate
assert again.subject.rfc4514_string() == "CN=service.example"
alternative = again.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
assert alternative.get_values_for_type(x509.DNSName) == ["service.example"]
request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(ec_key, hashes.SHA256(), backend)
assert x509.load_pem_x509_csr(request.public_bytes(pem), backend).is_signature_valid
bag = pkcs12.serialize_key_and_certificates(
    b"name", ec_key, certificate, None, serialization.BestAvailableEncryption(b"geheim")
)
loaded, found, others = pkcs12.load_key_and_certificates(bag, b"geheim", backend)
assert found == certificate
assert loaded.private_numbers() == ec_key.private_numbers()
assert error_of(lambda: pkcs12.load_key_and_certificates(bag, b"wrong", backend)).startswith("ValueError")
message = pkcs7.PKCS7SignatureBuilder().set_data(b"text").add_signer(certificate, ec_key, hashes.SHA256())
assert b"text" in message.sign(der, [pkcs7.PKCS7Options.Binary])
ssh = ec_key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
assert serialization.load_ssh_public_key(ssh, backend).public_numbers() == ec_key.public_key().public_numbers()

assert constant_time.bytes_eq(b"a", b"a")
assert not constant_time.bytes_eq(b"a", b"b")
