"""A body that must be one JSON object, for the routes that take one thing at a time.

Its refusals have the original's texts. What the object means is the route's business.
"""

from aiohttp import web

from tracker.errors import BadHit, TooLarge
from tracker.events import Values
from tracker.steps.json_input import loads
from tracker.web.bodies import BodyReader

MOST_BYTES = 256 * 1024
"""Of one document, inflated: small enough to be worked out while others wait."""
NOTHING = "Bad request (body)"
NO_OBJECT = "Bad request (data)"


async def one_object(bodies: BodyReader, request: web.BaseRequest, max_depth: int) -> Values:
    """The object that the body holds. Raises BadHit, TooLarge, UnknownEncoding, TooSlow, CannotStore."""
    data = bodies.at_hand(request)
    if data is None:
        sent = await bodies.read(request)
        data = bodies.decoded(request, sent)
    if data is None or len(data) > MOST_BYTES:
        raise TooLarge(f"the body has more than {MOST_BYTES} bytes")
    if not data or data.isspace():
        raise BadHit(NOTHING, "empty")
    return _object(data, max_depth)


def _object(data: bytes, max_depth: int) -> Values:
    try:
        value = loads(data, max_depth)
    except BadHit as error:
        raise BadHit(NO_OBJECT, error.code) from error
    if not isinstance(value, dict):
        raise BadHit(NO_OBJECT, "form")
    return value
