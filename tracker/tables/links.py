"""Short links."""

from tracker.tables.model import CREATED, HHASH, OID, ORG, UPDATED, Column, Kind, Table, columns

_UPDATER = Column("updater", Kind.UUID, "account that made it")

REDIRECTS = Table(
    name="redirects",
    meaning="where each short link leads now",
    columns=(
        HHASH,
        *columns(Kind.TEXT, urlfrom="short link as host/path, lower case", urlto="where it leads"),
        OID,
        ORG,
        UPDATED,
        _UPDATER,
        CREATED,
    ),
    key=("urlfrom",),
    version="updated_at",
)

REDIRECT_HISTORY = Table(
    name="redirect_history",
    meaning="every short link that was made or changed",
    columns=(
        Column("id", Kind.UUID, "the row's id, time-ordered"),
        *columns(
            Kind.TEXT,
            urlfrom="short link as sent, lower case",
            hostfrom="its host",
            slugfrom="its path",
            urlto="where it leads",
            hostto="host it leads to",
            pathto="path it leads to",
            searchto="query it leads to",
        ),
        OID,
        ORG,
        _UPDATER,
        UPDATED,
    ),
    key=("id",),
)
