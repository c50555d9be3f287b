"""Who did not come. That a meeting's time is over says nothing of who came: Cal.com tells it by the clock."""

from hashlib import sha256

from services.ingest.domain.tools.said import Missed, Native, Person, Said, Translation, Voided
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.calcom.booking import NoShowEvent, Past, WrappedPast, meeting_of, persons
from services.ingest.sources.native import native_id
from services.ingest.sources.reading import read


def marked(value: object) -> Translation:
    """By hand, and perhaps unmarked again: only those who changed are named."""
    told = read(NoShowEvent, value)
    if isinstance(told, Rejected):
        return told
    known = [attendee for attendee in told.payload.attendees or () if attendee.email.strip()]
    absent = persons(attendee.email for attendee in known if attendee.noShow)
    present = persons(attendee.email for attendee in known if not attendee.noShow)
    missed = [_missed(told, person) for person in absent]
    return (*missed, *(_voided(told, person) for person in present)) or Ignored("nobody_named")


def detected(value: object) -> Translation:
    """By Cal Video, so many minutes after the start. Older versions mark no attendee: then none of them has come."""
    told = read(NoShowEvent, value)
    if isinstance(told, Rejected):
        return told
    if told.triggerEvent == "AFTER_HOSTS_CAL_VIDEO_NO_SHOW":
        absent = persons([told.payload.hostEmail])
    else:
        guests = told.payload.attendees or ()
        absent = persons(guest.email for guest in guests if guest.noShow or not any(each.noShow for each in guests))
    return tuple(_missed(told, person) for person in absent) or Ignored("nobody_named")


def in_retrospect(value: object) -> Translation:
    """At the scheduled end, in a flat payload."""
    flat = isinstance(value, dict) and not isinstance(value.get("payload"), dict)
    told = read(Past, value) if flat else read(WrappedPast, value)
    if isinstance(told, Rejected):
        return told
    past = told if isinstance(told, Past) else told.payload
    return tuple(_seen_missing(past, person) for person in past.absent) or Ignored("ended_by_the_clock")


def _missed(told: NoShowEvent, person: Person) -> Said:
    uid = told.payload.bookingUid
    seen = told.triggerEvent != "BOOKING_NO_SHOW_UPDATED"
    return Missed(
        key=_key(uid, person),
        time=told.createdAt,
        native=Native(told.triggerEvent, native_id(uid)),
        meeting=meeting_of(uid),
        absent=(person,),
        evidence="observed" if seen else "self_reported",
    )


def _seen_missing(past: Past, person: Person) -> Said:
    native = Native("MEETING_ENDED", native_id(past.uid))
    return Missed(_key(past.uid, person), past.endTime, native, meeting_of(past.uid), (person,))


def _voided(told: NoShowEvent, person: Person) -> Said:
    uid = told.payload.bookingUid
    key = f"{_key(uid, person)}:unmarked:{told.createdAt.isoformat()}"
    return Voided(key, told.createdAt, Native(told.triggerEvent, native_id(uid)), target=_key(uid, person))


def _key(uid: str, person: Person) -> str:
    """Without the address: keys may be shown."""
    return f"no_show:{uid}:{sha256(person.address.lower().encode()).hexdigest()}"
