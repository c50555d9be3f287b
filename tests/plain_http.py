"""Requests over plain HTTP, each on a connection of its own, as `httpx.get` and `httpx.post` send them. By themselves
these read all certificates that the machine trusts for each request: 25 ms of CPU, and tests that poll ask often."""

import ssl
from functools import partial

import httpx

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody: a request over TLS fails."""

get = partial(httpx.get, verify=NO_TLS)
post = partial(httpx.post, verify=NO_TLS)
