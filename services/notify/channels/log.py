"""The log channel: every alert is one line in the log of the process. Always on."""

from schemas.alerts import Delivery
from services.notify.domain.verdict import Arrived, Verdict
from services.runtime import log


class LogChannel:
    def __init__(self) -> None:
        self._log = log.get(__name__)

    async def send(self, delivery: Delivery) -> Verdict:
        alert = delivery.alert
        self._log.info(
            "alert",
            transition=alert.transition,
            rule=alert.rule,
            urgency=alert.urgency,
            tenant=delivery.tenant,
            program=delivery.program,
            relationship=delivery.relationship,
            summary=alert.summary,
            at=alert.at.isoformat(),
            delivery_id=delivery.delivery_id,
        )
        return Arrived("logged")

    async def close(self) -> None:
        """Nothing is open."""
