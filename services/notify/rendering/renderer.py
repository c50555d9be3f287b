"""The body of a delivery, as its channel takes it. It is rendered when it is first sent: what was held for a night says
what is known in the morning, and an erased name is in nothing that is still to be sent."""

from typing import assert_never

from schemas.alerts import MOST_BODY, MOST_PEOPLE, Delivery
from services.notify.domain.name_book import NameBook
from services.notify.rendering.alert_text import alert_text
from services.notify.rendering.chat import slack, teams
from services.notify.rendering.machines import body, incident
from services.notify.rendering.mail import mail


class Renderer:
    def __init__(self, people: NameBook, link: str | None) -> None:
        self._people, self._link = people, link

    def rendered(self, delivery: Delivery) -> Delivery:
        """Names stand in mail and chat only; what machines read and keep holds ids."""
        match delivery.channel:
            case "log":
                return delivery.model_copy(update={"body": delivery.alert.summary})
            case "webhook":
                return delivery.model_copy(update={"body": body(delivery, self._link)})
            case "pagerduty":
                return delivery.model_copy(update={"body": incident(delivery, self._link)})
            case "smtp" | "slack" | "teams" as channel:
                found = alert_text(delivery, self._people, self._link)
                text = {"smtp": mail, "slack": slack, "teams": teams}[channel](found)
                assert len(text) <= MOST_BODY, "each channel keeps within its own bounds, which are lower"
                return delivery.model_copy(update={"body": text, "people": found.people[:MOST_PEOPLE]})
            case _:
                assert_never(delivery.channel)
