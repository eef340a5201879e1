"""Consents, the accounts that may act, and the rules and organisations they belong to."""

from tracker.tables.model import CREATED, HHASH, OID, ORG, UPDATED, Column, Kind, Table, columns

_CONSENT = (
    Column("vid", Kind.UUID, "visitor"),
    CREATED,
    UPDATED,
    Column("compliances", Kind.JSON, "rules it was asked for"),
    Column("cflags", Kind.INT64, "consent, a bit mask"),
    *columns(Kind.UUID, sid="session", uid="the site's user", avid="visitor who agreed for it"),
    HHASH,
    *columns(
        Kind.TEXT,
        app="application",
        rel="release of the application",
        url="page",
        ip="client's address, empty with UseRemoveIP",
        iphash="hash of the client's address",
        gaid="Google advertising id",
        idfa="Apple advertising id",
        msid="Microsoft advertising id",
        fbid="Facebook id",
        country="ISO 3166 code, upper case",
        region="region, lower case",
        culture="language",
        source="campaign source",
        medium="campaign medium",
        campaign="campaign name",
        term="campaign term",
    ),
    Column("ref", Kind.UUID, "referring visitor"),
    *columns(
        Kind.TEXT,
        rcode="referral code",
        aff="affiliate",
        browser="user agent",
        bhash="hash of the user agent",
        device="kind of device",
        os="operating system",
        tz="time zone",
    ),
    *columns(Kind.INT64, vp_w="viewport width in pixels", vp_h="viewport height in pixels"),
    Column("loc", Kind.JSON, "place"),
    *columns(Kind.FLOAT64, lat="latitude", lon="longitude"),
    Column("zip", Kind.TEXT, "postal code"),
    Column("owner", Kind.UUID, "owner"),
    OID,
    ORG,
)

AGREEMENTS = Table(
    name="agreements",
    meaning="the consent of each visitor as it is now",
    columns=_CONSENT,
    key=("oid", "vid"),
    version="updated_at",
)

AGREED = Table(
    name="agreed",
    meaning="every consent that was given or taken back",
    columns=(Column("id", Kind.UUID, "the row's id, time-ordered"), *_CONSENT),
    key=("id",),
)

ACCOUNTS = Table(
    name="accounts",
    meaning="who may make short links",
    columns=(
        Column("uid", Kind.UUID, "account"),
        Column("pwd", Kind.TEXT, "hash of the password"),
        *columns(Kind.TEXT, ip="address", msg="note"),
        Column("expires", Kind.TIMESTAMP, "when it ends; 1970 for never"),
        Column("creds", Kind.JSON, "what it may do"),
        CREATED,
        UPDATED,
        Column("owner", Kind.UUID, "owner"),
    ),
    key=("uid",),
    version="updated_at",
)

JURISDICTIONS = Table(
    name="jurisdictions",
    meaning="rules of consent and where they hold",
    columns=(
        *columns(Kind.TEXT, regulation="regulation", compliance="what it asks for"),
        Column("seq", Kind.UINT32, "number within it"),
        *columns(Kind.JSON, rules="rules", locs="places"),
        UPDATED,
    ),
    key=("regulation", "compliance", "seq"),
    version="updated_at",
)

ORGS = Table(
    name="orgs",
    meaning="organisations (tenants)",
    columns=(
        OID,
        ORG,
        Column("ddata", Kind.JSON, "its settings: `tracker_host`, `default_destination_host`"),
        UPDATED,
    ),
    key=("oid",),
    version="updated_at",
)
