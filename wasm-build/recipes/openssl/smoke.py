"""OpenSSL behind hashlib, hmac and ssl: known answers, random numbers, and a TLS client that starts talking."""

import hashlib
import hmac
import ssl

assert ssl.OPENSSL_VERSION.startswith("OpenSSL 3.0.")

for name, expected in (
    ("md5", "900150983cd24fb0d6963f7d28e17f72"),
    ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ("sha3_256", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
    # From the legacy provider.
    ("md4", "a448017aaf21d8525fc10ae87aa6729d"),
):
    assert hashlib.new(name, b"abc").hexdigest() == expected
# RFC 4231, test case 2; RFC 7914, section 11 (PBKDF2) and 12 (scrypt).
assert hmac.digest(b"Jefe", b"what do ya want for nothing?", "sha256").hex() == (
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
)
assert hashlib.pbkdf2_hmac("sha256", b"passwd", b"salt", 1, 64).hex().startswith("55ac046e56e3089fec1691c22544b605")
assert hashlib.scrypt(b"", salt=b"", n=16, r=1, p=1, dklen=64).hex().startswith("77d6576238657b203b19ca42c18a0497")

assert len(ssl.RAND_bytes(32)) == 32
assert ssl.RAND_bytes(16) != ssl.RAND_bytes(16)

context = ssl.create_default_context()
assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
assert any(cipher["name"] == "TLS_AES_256_GCM_SHA384" for cipher in context.get_ciphers())
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
client = context.wrap_bio(incoming, outgoing, server_hostname="service.example")
wants_read = False
try:
    client.do_handshake()
except ssl.SSLWantReadError:
    wants_read = True
hello = outgoing.read()
assert wants_read
# A handshake record (22) that holds a client hello (1) with the server's name.
assert (hello[0], hello[5]) == (22, 1)
assert b"service.example" in hello

incoming.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
reason = ""
try:
    client.do_handshake()
except ssl.SSLError as error:
    reason = error.reason
assert reason == "WRONG_VERSION_NUMBER"
