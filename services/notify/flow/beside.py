"""What comes in beside the scores, each round: other destinations, what people ask for, and who was erased."""

from dataclasses import dataclass
from typing import NamedTuple

from services.notify.domain.routing import Addressing
from services.notify.flow.destinations import DestinationsFile
from services.notify.flow.dispatch import Dispatch
from services.notify.flow.people import Erased, PeopleRecords
from services.notify.flow.requests import DeliveryRequests
from services.runtime.following import Follower


class BesideNews(NamedTuple):
    """Who was erased since, and who is away, by tenant and id."""

    erased: list[Erased]
    away: list[tuple[str, str]]


@dataclass(frozen=True)
class Beside:
    """`followers`: whatever ended one of them ends the process, for what it knows would grow old without a word."""

    addressing: Addressing
    destinations: DestinationsFile
    requests: DeliveryRequests
    people: PeopleRecords
    followers: tuple[Follower, ...]

    def apply(self, dispatch: Dispatch) -> BesideNews:
        """Raises what has ended a follower."""
        for follower in self.followers:
            follower.check()
        changed = self.destinations.changed()
        if changed is not None:
            dispatch.configure(changed.destinations)
            self.addressing.routing = changed.routing()
        for requested in self.requests.taken():
            if requested.replay is None:
                dispatch.discard(requested.delivery_id)
            else:
                dispatch.begin_anew(requested.replay)
        erased = self.people.erased()
        dispatch.forget(erased)
        return BesideNews(erased, self.people.away())
