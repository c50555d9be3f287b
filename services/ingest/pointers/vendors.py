"""The tools whose notifications are pointers, and how each is asked."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from services.ingest.pointers import google_calendar, microsoft_graph
from services.ingest.pointers.answers import Fetched
from services.ingest.pointers.api import Api


class Vendor(NamedTuple):
    """`changed`: what is new since a sync token. `whole`: everything around now."""

    changed: Callable[[Api, str, str], Fetched]
    whole: Callable[[Api, str, datetime], Fetched]


VENDORS: Mapping[str, Vendor] = {
    "google_calendar": Vendor(google_calendar.changed, google_calendar.whole),
    "microsoft_graph": Vendor(microsoft_graph.changed, microsoft_graph.whole),
}
