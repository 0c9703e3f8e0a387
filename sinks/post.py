"""One HTTP POST of one event: signed by the Standard Webhooks scheme, and what the answer means.

Receivers verify with any library for Standard Webhooks, or by hand: HMAC-SHA256 over `id.timestamp.body`. Redirects are not
followed, for a signed event goes where it was meant to go. Attempts and their order are `courier.py`'s.
"""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2
from standardwebhooks import Webhook

from schemas.errors import SettingsError
from sinks.courier import Failure
from sinks.undelivered import Parcel

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
SECRET_VARIABLE = "MAITRED_WEBHOOK_SECRET"  # noqa: S105  a name
_MAY_PASS = {408, 425, 429}
_SHOWN = 200  # bytes of an answer that refuses
_SHORT = 16_384  # bytes of an answer that are read for the sake of its connection
_REST_S = 1.0  # and how long that may take


class WebhookPost:
    """`secrets`: each signs, so that one can follow another without a gap. `clock` tells seconds since the epoch."""

    def __init__(
        self, url: str, secrets: Sequence[str], timeout_s: float = 10.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._url, self._timeout_s, self._clock = checked_url(url), timeout_s, clock
        self._keys = [_key(secret) for secret in secrets]
        if not self._keys:
            raise SettingsError(SECRET_VARIABLE, "a secret to sign with", "none", _SECRET_CURE)
        self._client = httpx2.AsyncClient(follow_redirects=False, timeout=timeout_s)

    async def __call__(self, parcel: Parcel) -> None:
        request = self._client.build_request(
            "POST", self._url, content=parcel.body.encode(), headers=self.headers(parcel)
        )
        try:
            async with asyncio.timeout(self._timeout_s):  # the client's own is for each step, this for all of them
                answer = await self._client.send(request, stream=True)
        except TimeoutError as error:
            raise Failure(f"no answer within {self._timeout_s:g} s", may_pass=True) from error
        except httpx2.HTTPError as error:
            raise Failure(f"{type(error).__name__}: {error}".rstrip(": "), may_pass=True) from error
        head = await _head(answer)
        if not answer.is_success:
            raise refusal(answer.status_code, answer.headers, head, self._clock())

    def headers(self, parcel: Parcel) -> dict[str, str]:
        at = datetime.fromtimestamp(int(self._clock()), UTC)
        return {
            "content-type": CONTENT_TYPE,
            "accept-encoding": "identity",
            "user-agent": "maitred",
            "webhook-id": parcel.id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(key.sign(parcel.id, at, parcel.body) for key in self._keys),
        }

    async def close(self) -> None:
        await self._client.aclose()


async def _head(answer: httpx2.Response) -> bytes:
    """What the answer begins with, as it came: nothing is unpacked, for a small answer may be a huge one.

    A short answer is read to its end, so that its connection serves the next post. The status has been said by now: whatever
    becomes of the rest changes nothing.
    """
    head = b""
    with suppress(httpx2.HTTPError, TimeoutError):
        async with asyncio.timeout(_REST_S):
            async for chunk in answer.aiter_raw():
                head += chunk
                if len(head) > _SHORT:
                    break
    await answer.aclose()
    return head[:_SHOWN]


def refusal(status: int, headers: httpx2.Headers, head: bytes, now_s: float) -> Failure:
    """What an answer other than 2xx means."""
    said = f"HTTP {status}"
    if 300 <= status < 400:
        location = printable(headers.get("location", "nowhere")[:_SHOWN])
        said += f", to {location}: redirects are not followed, set the url to where it leads"
    elif (packed := headers.get("content-encoding", "identity")) != "identity":
        said += f": (in {printable(packed[:_SHOWN])})"
    elif text := printable(head.decode("utf-8", "replace")):
        said += f": {text}"
    return Failure(
        said,
        may_pass=status >= 500 or status in _MAY_PASS,
        retry_after_s=retry_after(headers.get("retry-after", ""), now_s),
    )


def printable(text: str) -> str:
    """On one line, and without what would steer the terminal of whoever reads it.

    >>> printable("no  thanks" + chr(27) + "[2J")
    'no thanks�[2J'
    """
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(text.split()))


def retry_after(said: str, now_s: float) -> float:
    """Seconds to wait, from a number of seconds or a date; 0 where it says neither.

    >>> retry_after("120", 0.0), retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 20.0), retry_after("soon", 0.0)
    (120.0, 40.0, 0.0)
    """
    if re.fullmatch(r"\d{1,9}", said):
        return float(said)
    with suppress(ValueError, OverflowError):
        return max(0.0, parsedate_to_datetime(said).timestamp() - now_s)
    return 0.0


def checked_url(url: str) -> str:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise SettingsError("webhook.url", "an http:// or https:// address", url, "correct it") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SettingsError("webhook.url", "an http:// or https:// address", url, "correct it")
    return url


_SECRET_CURE = (
    f"`maitred deliver secret` makes one; set the environment variable {SECRET_VARIABLE} here and at the receiver"
)


def _key(secret: str) -> Webhook:
    """The secret itself is never shown."""
    wanted = "whsec_ and base64 of 24 to 64 bytes"
    try:
        key = Webhook(secret)
    except Exception as error:
        raise SettingsError(SECRET_VARIABLE, wanted, "something else", _SECRET_CURE) from error
    if not secret.startswith("whsec_") or not 24 <= len(key._whsecret) <= 64:  # noqa: SLF001  it has no other way to tell
        raise SettingsError(SECRET_VARIABLE, wanted, "something else", _SECRET_CURE)
    return key
