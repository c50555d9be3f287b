"""What the relationships of programmes show together, over all partitions."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from schemas.primitives import Instant
from services.notify.domain.catching_up import CatchingUp
from services.notify.domain.ids import ProgrammeKey
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.pulses import Pulses
from services.notify.domain.subjects import Tally, ToldLate


def lowest_clock(partitions: Iterable[PartitionAlerts]) -> Instant | None:
    """Of the partitions that have relationships or a clock; None while one of them has no clock yet."""
    clocks = [alerts.clock for alerts in partitions if alerts.clock is not None or not alerts.is_empty]
    known = [clock for clock in clocks if clock is not None]
    return min(known) if known and len(known) == len(clocks) else None


def tallies(
    partitions: Iterable[PartitionAlerts], programs: Collection[ProgrammeKey] | None = None
) -> dict[ProgrammeKey, Tally]:
    """Of these programmes, or of all."""
    pulses = [(alerts.pulses(), alerts.catching_up().keys()) for alerts in partitions]
    known = {program for of_partition, _ in pulses for program in of_partition}
    return {
        program: _tally([(of_partition[program], late) for of_partition, late in pulses if program in of_partition])
        for program in (known if programs is None else known & set(programs))
    }


def told_late(
    caught_up: Sequence[CatchingUp], partitions: Mapping[int, PartitionAlerts]
) -> dict[ProgrammeKey, ToldLate]:
    """By programme, of relationships that have caught up with their history."""
    found: dict[ProgrammeKey, ToldLate] = {}
    for one in caught_up:
        watch = partitions[one.partition].watch(one.key)
        if watch is not None:
            program = (watch.subject.tenant, watch.subject.program)
            before = found.get(program, ToldLate(0, one.catch_up.why))
            found[program] = replace(before, relationships=before.relationships + 1)
    return found


def _tally(of_partitions: Sequence[tuple[Pulses, AbstractSet[str]]]) -> Tally:
    """Of one programme: its pulses, and who is catching up, by partition."""
    healths: list[float] = []
    for pulse, late in of_partitions:
        # Nearly always nobody is: every hour all pairs are walked here.
        known = pulse.healths
        healths += [health for key, health in known.items() if key not in late] if late else known.values()
    alerting = sum(len(pulse.alerting - late) for pulse, late in of_partitions)
    catching_up = sum(len(pulse.healths.keys() & late) for pulse, late in of_partitions)
    return Tally(healths, alerting, catching_up, [at for pulse, _ in of_partitions for at in pulse.rescored.values()])
