"""What routes beside tracking work with; `app` makes it. A new service is one field here."""

from dataclasses import dataclass

from tracker.records.lookup import Lookup
from tracker.web.control_services import Persons
from tracker.web.credentials import Credentials
from tracker.web.geoip import Places


@dataclass(frozen=True, slots=True)
class WebServices:
    """Current rows, and who may change or see them."""

    credentials: Credentials
    links: Lookup
    """Table `redirects` by `urlfrom`: host/path, lower case."""
    link_history: Lookup
    """Table `redirect_history` by `id`; asked by host: `rows({"hostfrom": [...]})`."""
    consents: Lookup
    """Table `agreements` by `vid`; a visitor may have one row for each `oid`: `rows({"vid": [...]})`."""
    jurisdictions: Lookup
    """Table `jurisdictions`; all of it is asked for: `rows({})`."""
    orgs: Lookup
    """Table `orgs` by `oid`."""
    places: Places
    """Where addresses are."""
    persons: Persons | None = None
    """What erases and exports persons."""
