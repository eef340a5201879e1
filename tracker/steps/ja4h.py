"""JA4H, a fingerprint of a request's headers: which there are and in what order, never what they say.

As the original's, but the second part has the real order of the headers, which the original could not know.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

_NOT_COUNTED = frozenset({"Cookie", "Referer", "Host"})
_NO_COOKIES = "0" * 12


def ja4h(method: str, is_http2: bool, headers: Sequence[tuple[str, str]]) -> str:
    """`a_b_c_d`: a = method, version, cookie and referer present, number of headers, language; b = names of
    headers in order of arrival; c and d = sorted cookie names. b to d are 12 hexadecimal digits of SHA-256.
    """
    names: list[str] = []
    cookies: list[str] = []
    language = ""
    for name, value in headers:
        names.append(name)
        lower = name.lower()
        if lower == "cookie":
            cookies += [pair.partition("=")[0].strip() for pair in value.split(";")]
        elif lower == "accept-language" and not language:
            language = value.partition(",")[0]
    return _fingerprint(method, is_http2, tuple(names), language, tuple(cookies))


@lru_cache(maxsize=1024)
def _fingerprint(
    method: str, is_http2: bool, names: tuple[str, ...], language: str, cookies: tuple[str, ...]
) -> str:
    seen = dict.fromkeys(_canonical(name) for name in names)
    counted = [name for name in seen if name not in _NOT_COUNTED]
    parts = (
        f"{method[:2].lower():0<2}",
        "20" if is_http2 else "11",
        "c" if "Cookie" in seen else "n",
        "r" if "Referer" in seen else "n",
        f"{min(len(counted), 99):02d}",
        f"{language.replace('-', '').lower()[:4]:0<4}",
    )
    cookie_names = sorted(name for name in cookies if name)
    cookie_part = _digest("".join(cookie_names)) if cookie_names else _NO_COOKIES
    text = f"{''.join(parts)}_{_digest(''.join(counted))}_{cookie_part}_{cookie_part}"
    return text.encode("utf-8", "replace").decode("utf-8")


def _canonical(name: str) -> str:
    return "-".join(word.capitalize() for word in name.split("-"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
