"""The description of every route as OpenAPI 3.1, at /openapi.json.

`routes` says what each route takes and answers, `parts` what they share, `document` puts both together.
"""

from tracker.web.openapi.document import Description, document

__all__ = ["Description", "document"]
