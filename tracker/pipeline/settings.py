"""What preparing needs to know of the configuration."""

import re
from dataclasses import dataclass

from tracker.steps import ids


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What the steps need to know of the configuration."""

    use_remove_ip: bool = True
    """No row holds a client's address."""
    ip_hash_key: bytes = b""
    """That of `iphash`; empty for the original's form, which anyone can reverse."""
    prefix_private_hash: str = ""
    """Put before an e-mail address, phone number or user name when it is hashed."""
    url_filter: re.Pattern[str] | None = None
    url_filter_match_group: int = 0
    """Which group of the filter is kept of an address; 0 is the last one."""
    max_depth: int = 64
    """How deep JSON text inside an event may be nested."""
    id_namespace: str = ids.NAMESPACE
    """The UUID from which ids are made of texts."""
    use_region_descriptions: bool = True
    """An address's region and city are kept."""
    max_background: int = 10_000
    """How many events may wait at once for a commit that nobody waits for."""
