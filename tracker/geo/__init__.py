"""Where an address is: databases in the forms of IP2Location (BIN) and MaxMind (mmdb), kept up to date.

Nothing is downloaded here; docs/geography.md says where databases come from.
"""

from tracker.events import Place
from tracker.geo.geoip import GeoIP

__all__ = ["GeoIP", "Place"]
