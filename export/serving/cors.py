"""Cross-origin resource sharing: which pages of other servers a browser lets call this one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.message import Message

from zoo.errors import UsageError

ANY = "*"
Headers = Mapping[str, str] | Message
_ORIGIN = re.compile(r"https?://([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?", re.ASCII)
_PREFLIGHT_SECONDS = "600"  # for which a browser need not ask again; chosen


class Origins:
    """The pages that may call, none by default.

    Args:
        allowed: their origins as browsers send them, as in `https://example.org:8080`, or `*` for
            all.

    Raises:
        UsageError: one is no origin.
    """

    def __init__(self, allowed: Sequence[str] = ()):
        for origin in allowed:
            if origin != ANY and not _ORIGIN.fullmatch(origin):
                raise UsageError(
                    f"allow_origin={origin!r} is not accepted: expected http://HOST[:PORT] or "
                    "https://HOST[:PORT], without a path, or *"
                )
        self._allowed = frozenset(origin.lower() for origin in allowed)

    def headers(self, request: Headers) -> dict[str, str]:
        """What an answer says of it, from the headers of the request."""
        origin = request.get("Origin")
        if not self._allowed:
            return {}
        if origin is None or not self._allowed & {ANY, origin}:
            return {"Vary": "Origin"}
        return {"Vary": "Origin", "Access-Control-Allow-Origin": origin}

    def preflight(self, method: str, request: Headers) -> dict[str, str] | None:
        """The headers that answer a browser which asks before it calls; None where none does, or
        its page may not."""
        asks = method == "OPTIONS" and "Access-Control-Request-Method" in request
        headers = self.headers(request)
        if not asks or "Access-Control-Allow-Origin" not in headers:
            return None
        private = "Access-Control-Request-Private-Network"  # of a public page, to loopback
        return {
            **headers,
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": _PREFLIGHT_SECONDS,
            **({"Access-Control-Allow-Private-Network": "true"} if private in request else {}),
        }
