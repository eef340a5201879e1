"""Payments; what a user, visitor or order paid in all is a view over them."""

from tracker.tables.model import CREATED, GROUND, HHASH, OID, ORG, UPDATED, Column, Kind, Table, columns

CURRENCY = Column("currency", Kind.TEXT, "ISO 4217 code", "USD")

PAYMENTS = Table(
    name="payments",
    meaning="one row for each payment or item of it",
    columns=(
        Column("id", Kind.UUID, "payment"),
        OID,
        ORG,
        HHASH,
        *columns(
            Kind.UUID,
            tid="thread or campaign target",
            uid="the site's user",
            vid="visitor",
            sid="session",
            invid="invoice",
            orid="order",
            product_id="product",
            updater="who changed it",
            owner="owner",
        ),
        *columns(
            Kind.TEXT,
            product="product's name",
            pcat="product's category",
            man="manufacturer",
            model="model",
        ),
        *columns(
            Kind.DECIMAL,
            qty="quantity",
            price="price of one",
            discount="discount",
            revenue="revenue, else the amount; negative for a refund",
            margin="margin",
            cost="cost",
            tax="tax",
            tax_rate="rate of the tax",
            commission="commission",
            referral="referral fee",
            fees="fees",
            subtotal="before tax",
            total="with tax",
            payment="paid now",
        ),
        Column("duration", Kind.INT64, "how long it is for"),
        *columns(
            Kind.TIMESTAMP,
            invoiced_at="when invoiced",
            starts="from when",
            ends="until when",
            paid_at="when paid",
        ),
        CREATED,
        UPDATED,
        CURRENCY,
        *columns(
            Kind.TEXT,
            country="ISO 3166 code",
            rcode="referral code",
            region="region",
            campaign_id="campaign",
        ),
        Column("params", Kind.JSON, "everything that is no column, and texts of ids, as sent"),
        GROUND,
    ),
    key=("oid", "id"),
    version="updated_at",
)
