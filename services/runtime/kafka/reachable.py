"""Whether the broker can be reached and lets us in, found out in seconds: kafka-python (3.0.12) tries for half a
minute, and then says only that it could not get through."""

import threading
import time

from kafka.errors import KafkaError

from services.runtime import log
from services.runtime.health import Health
from services.runtime.kafka.sign_in import sign_in
from services.runtime.settings import Settings

# A command that ends because of it has said so within 5 s, the start of Python included. A broker that is started again
# takes longer; services wait for it.
PATIENCE_SECONDS = 1.5
PAUSE_SECONDS = 0.2
# A service that waits says so again after so long.
WAIT_SECONDS = 5.0


class BrokerUnreachableError(KafkaError):  # type: ignore[misc]  # kafka-python has no types
    """The message names the setting."""

    retriable = True

    def __str__(self) -> str:
        return str(self.args[0])


def check_reachable(settings: Settings) -> None:
    """Returns when one of the brokers of RAPPORT_KAFKA lets us in. Raises BrokerUnreachableError where none is reached
    within PATIENCE_SECONDS together, SignInError when one refuses us."""
    addresses, deadline = [one.strip() for one in settings.kafka.split(",")], time.monotonic() + PATIENCE_SECONDS
    while True:
        problems = []
        for address in addresses:
            problem = sign_in(settings, address, PATIENCE_SECONDS / len(addresses))
            if problem is None:
                return
            problems.append(f"{address}: {problem}")
        if time.monotonic() + PAUSE_SECONDS > deadline:
            raise BrokerUnreachableError(f"RAPPORT_KAFKA names no broker that can be reached ({'; '.join(problems)})")
        time.sleep(PAUSE_SECONDS)


def await_broker(settings: Settings, health: Health, stop: threading.Event) -> bool:
    """For a service that starts: says what is missing and waits for it, for to end and be started again would look like
    a fault of its own, and supervisors give up on those. False when `stop` is set before. Raises SignInError."""
    while not stop.is_set():
        try:
            check_reachable(settings)
        except BrokerUnreachableError as away:
            health.tell("starting", str(away))
            log.get(__name__).warning("broker_away", reason=str(away))
            stop.wait(WAIT_SECONDS)
        else:
            return True
    return False
