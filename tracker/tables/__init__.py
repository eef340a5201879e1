"""The catalogue of tables: columns, types, defaults and meaning, the one source for routing and every store.

Names are those of the original's ClickHouse form. No column is nullable: a row leaves out what is at its
default and the store fills it in. A new table is one entry here plus its numbered SQL per store.
"""

from types import MappingProxyType

from tracker.tables.events import COUNTERS, EVENTS, LOGS, UPDATES
from tracker.tables.links import REDIRECT_HISTORY, REDIRECTS
from tracker.tables.messages import MSTORE, MTRIAGE, VISITOR_INTERESTS
from tracker.tables.model import DEFAULTS, EPOCH, ZERO_UUID, Column, Default, Kind, Table
from tracker.tables.money import PAYMENTS
from tracker.tables.people import ACCOUNTS, AGREED, AGREEMENTS, JURISDICTIONS, ORGS
from tracker.tables.seen import CELLS, EMAILS, HOSTS, USERHOSTS, USERNAMES
from tracker.tables.threads import MTHREADS
from tracker.tables.views import VIEWS

__all__ = [
    "CATALOGUE",
    "DEFAULTS",
    "EPOCH",
    "EVENTS",
    "VIEWS",
    "ZERO_UUID",
    "Column",
    "Default",
    "Kind",
    "Table",
]

_ALL = (
    *(EVENTS, LOGS, UPDATES, COUNTERS),
    *(HOSTS, USERNAMES, EMAILS, CELLS, USERHOSTS),
    *(MTHREADS, MSTORE, MTRIAGE, VISITOR_INTERESTS),
    *(PAYMENTS, AGREEMENTS, AGREED, JURISDICTIONS),
    *(ACCOUNTS, REDIRECTS, REDIRECT_HISTORY, ORGS),
)

CATALOGUE = MappingProxyType({table.name: table for table in _ALL})
"""Every table by name."""
