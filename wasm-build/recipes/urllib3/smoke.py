"""urllib3 parses URLs, counts retries, decodes bodies, and says which host it may not reach."""

import gzip
import io

import urllib3
from urllib3.exceptions import MaxRetryError, NewConnectionError
from urllib3.util import Retry, Timeout, parse_url

assert urllib3.__version__ == "2.1.0"

url = parse_url("https://user:pw@Example.com:8443/a/../b?x=1#f")
assert (url.host, url.port, url.request_uri) == ("example.com", 8443, "/b?x=1")
assert Timeout(connect=2, total=5).connect_timeout == 2
response = urllib3.HTTPResponse(io.BytesIO(gzip.compress(b"text")), headers={"Content-Encoding": "gzip"}, status=200)
assert response.data == b"text"

reason = None
try:
    urllib3.PoolManager(retries=Retry(1, backoff_factor=0)).request("GET", "https://ungranted.example/")
except MaxRetryError as error:
    reason = error.reason
assert isinstance(reason, NewConnectionError)
assert 'Grants(http=["ungranted.example"])' in str(reason)
