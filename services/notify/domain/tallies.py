"""What the relationships of programmes show together, over all partitions."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from schemas.primitives import Instant
from services.notify.domain.catching_up import CatchingUp
from services.notify.domain.partition_alerts import PartitionAlerts, ProgrammeKey
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
    found = {}
    for program in known if programs is None else known & set(programs):
        every = [(of_partition[program], late) for of_partition, late in pulses if program in of_partition]
        healths = [health for pulse, late in every for key, health in pulse.healths.items() if key not in late]
        alerting = sum(len(pulse.alerting - late) for pulse, late in every)
        catching_up = sum(len(pulse.healths.keys() & late) for pulse, late in every)
        rescored = [at for pulse, _ in every for at in pulse.rescored.values()]
        found[program] = Tally(healths, alerting, catching_up, rescored)
    return found


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
