"""What the load sends: a typical page view of about 600 bytes, alone or a hundred in an array."""

from typing import Any

import orjson

BATCH = 100
"""Events in one batch request."""

LINK = "go.example/sale"
"""The short link that a load follows, and where it leads."""
LINK_TO = "https://shop.example/shoes?utm_source=mail"

_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"


def event(number: int) -> dict[str, Any]:
    """One page view; the visitor and the session differ by number, the rest is what sites send."""
    return {
        "vid": f"0199d7a4-0000-7000-8000-{number:012x}",
        "sid": f"0199d7a4-1111-7000-8000-{number:012x}",
        "ename": "page_view",
        "etyp": "view",
        "ptyp": "product",
        "url": f"https://www.example.com/shop/shoes/{number % 977}?size=42",
        "last": "https://www.example.com/shop",
        "tz": "Europe/Berlin",
        "device": "Desktop",
        "os": "macOS",
        "app": "shop",
        "rel": "2026.11.3",
        "w": 1440,
        "h": 900,
        "source": "newsletter",
        "medium": "email",
        "campaign": "autumn-2026",
        "params": {"price": 129.95, "currency": "EUR", "sku": f"SHOE-{number}", "in_stock": True},
        "firstPaintMs": 312,
        "referrerKind": "internal",
    }


def request_bytes(form: str, port: int) -> bytes:
    """The whole HTTP request of a form: `single`, `batch`, or `link` (a first visitor's click on LINK)."""
    if form == "link":
        host, _, path = LINK.partition("/")
        return (
            f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {_AGENT}\r\n"
            "Accept: */*\r\nAccept-Language: de-DE,de;q=0.9\r\n\r\n"
        ).encode()
    body = orjson.dumps(event(1) if form == "single" else [event(number) for number in range(BATCH)])
    head = (
        f"POST /tr/v1/tr/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: {_AGENT}\r\n"
        f"Accept: */*\r\nAccept-Language: de-DE,de;q=0.9\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
