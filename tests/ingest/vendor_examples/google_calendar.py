"""Google Calendar's events of API v3, pages of them, and the headers of a push."""

from typing import Any

EVENT: dict[str, Any] = {
    "kind": "calendar#event",
    "etag": '"3181161784712000"',
    "id": "4pnfn8v7b9q7k2u3l2r5t6m0e4_20260309T100000Z",
    "status": "confirmed",
    "htmlLink": "https://www.google.com/calendar/event?eid=NHBuZm44djdi",
    "created": "2026-03-01T10:00:00.000Z",
    "updated": "2026-03-01T10:01:32.356Z",
    "summary": "Why Bob wants to leave",
    "description": "First his boss, <b>then</b> his health",
    "location": "The café where nobody knows us",
    "colorId": "11",
    "creator": {"id": "1234", "email": "ada@example.com", "displayName": "Ada Lovelace", "self": True},
    "organizer": {"id": "1234", "email": "ada@example.com", "displayName": "Ada Lovelace", "self": True},
    "start": {"dateTime": "2026-03-09T10:00:00+01:00", "timeZone": "Europe/Vienna"},
    "end": {"dateTime": "2026-03-09T11:00:00+01:00", "timeZone": "Europe/Vienna"},
    "endTimeUnspecified": False,
    "recurringEventId": "4pnfn8v7b9q7k2u3l2r5t6m0e4",
    "originalStartTime": {"dateTime": "2026-03-09T10:00:00+01:00", "timeZone": "Europe/Vienna"},
    "transparency": "opaque",
    "visibility": "private",
    "iCalUID": "4pnfn8v7b9q7k2u3l2r5t6m0e4@google.com",
    "sequence": 0,
    "attendees": [
        {
            "id": "1234",
            "email": "ada@example.com",
            "displayName": "Ada Lovelace",
            "organizer": True,
            "self": True,
            "responseStatus": "accepted",
        },
        {
            "id": "5678",
            "email": "bob@example.com",
            "displayName": "Bob B",
            "optional": False,
            "responseStatus": "tentative",
            "comment": "Only if my boss hears nothing of it",
            "additionalGuests": 0,
        },
        {"email": "room@resource.calendar.google.com", "displayName": "The small room", "resource": True},
    ],
    "attendeesOmitted": False,
    "extendedProperties": {"private": {"mood": "sad"}, "shared": {"why": "his boss"}},
    "hangoutLink": "https://meet.google.com/abc-defg-hij",
    "conferenceData": {
        "createRequest": {"requestId": "r1", "conferenceSolutionKey": {"type": "hangoutsMeet"}, "status": {}},
        "entryPoints": [
            {
                "entryPointType": "phone",
                "uri": "tel:+12345678",
                "label": "+1 234 5678",
                "pin": "12345",
                "accessCode": "1",
                "meetingCode": "2",
                "passcode": "3",
                "password": "4",
            }
        ],
        "conferenceId": "abc-defg-hij",
        "signature": "abc",
        "notes": "Bring nobody",
    },
    "gadget": {"title": "Birthday", "link": "https://example.com", "preferences": {"name": "Bob"}},
    "anyoneCanAddSelf": False,
    "guestsCanInviteOthers": True,
    "reminders": {"useDefault": False, "overrides": [{"method": "email", "minutes": 10}]},
    "source": {"url": "https://example.com/mail/1", "title": "Mail from Bob about his boss"},
    "workingLocationProperties": {
        "type": "customLocation",
        "homeOffice": "at my mother's",
        "customLocation": {"label": "at my mother's"},
        "officeLocation": {"buildingId": "b", "floorId": "f", "deskId": "d", "label": "next to Bob"},
    },
    "outOfOfficeProperties": {"autoDeclineMode": "declineAll", "declineMessage": "I am in hospital"},
    "focusTimeProperties": {"autoDeclineMode": "none", "declineMessage": "Let me be", "chatStatus": "doNotDisturb"},
    "birthdayProperties": {"contact": "people/c1", "type": "birthday", "customTypeName": "First kiss"},
    "attachments": [
        {"fileUrl": "https://drive.google.com/1", "title": "Bob's diagnosis", "mimeType": "x/y", "fileId": "1"}
    ],
    "eventType": "default",
}
PUSH: dict[str, Any] = {
    "x-goog-channel-id": "01234567-89ab-cdef-0123456789ab",
    "x-goog-channel-expiration": "Tue, 31 Mar 2026 20:00:00 GMT",
    "x-goog-message-number": "10",
    "x-goog-resource-id": "o3hgv1538sdjfh",
    "x-goog-resource-state": "exists",
    "x-goog-resource-uri": "https://www.googleapis.com/calendar/v3/calendars/ada%40example.com/events?alt=json",
}
SERIES = {name: value for name, value in EVENT.items() if name != "recurringEventId"}
EXAMPLES: tuple[dict[str, Any], ...] = (
    EVENT,
    SERIES | {"recurrence": ["RRULE:FREQ=WEEKLY;UNTIL=20260628T215959Z", "EXDATE;TZID=Europe/Vienna:20260316T100000"]},
    EVENT | {"status": "cancelled"},
    EVENT | {"start": {"date": "2026-03-09"}, "end": {"date": "2026-03-10"}},
    EVENT | {"eventType": "outOfOffice"},
    {
        "kind": "calendar#events",
        "summary": "Ada's calendar",
        "description": "Mine",
        "timeZone": "Europe/Vienna",
        "nextSyncToken": "CPDAlvWDx70CEPDAlvWDx70CGAU=",
        "items": [EVENT],
    },
    PUSH,
)
