"""Microsoft Graph's change notifications, events of Outlook and attendance reports of Teams."""

from typing import Any

ID = "AAMkAGIAAAoZDOFAAA="
ADA: dict[str, Any] = {"emailAddress": {"name": "Ada Lovelace", "address": "ada@example.com"}}
BOB: dict[str, Any] = {"emailAddress": {"name": "Bob B", "address": "bob@example.com"}}
EVENT: dict[str, Any] = {
    "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users('ada%40example.com')/events/$entity",
    "@odata.etag": 'W/"ZlnW4RIAV06KYYwlfNZvQAAALfZeRQ=="',
    "id": ID,
    "createdDateTime": "2026-03-01T10:00:00.7611945Z",
    "lastModifiedDateTime": "2026-03-01T10:01:00.7611945Z",
    "changeKey": "ZlnW4RIAV06KYYwlfNZvQAAALfZeRQ==",
    "categories": ["AvailabilityListener", "Red category"],
    "transactionId": "7E163156-7762-4BEB-A1C6-729EA81755A7",
    "originalStartTimeZone": "W. Europe Standard Time",
    "originalEndTimeZone": "W. Europe Standard Time",
    "originalStart": "2026-03-09T09:00:00Z",
    "iCalUId": "040000008200E00074C5B7101A82E00800000000",
    "uid": "040000008200E00074C5B7101A82E00800000000",
    "reminderMinutesBeforeStart": 15,
    "isReminderOn": True,
    "hasAttachments": False,
    "subject": "Why Bob wants to leave",
    "bodyPreview": "First his boss",
    "body": {"contentType": "html", "content": "<html><body>First his boss, then his health</body></html>"},
    "importance": "normal",
    "sensitivity": "private",
    "isAllDay": False,
    "isCancelled": False,
    "isOrganizer": True,
    "isDraft": False,
    "hideAttendees": False,
    "responseRequested": True,
    "seriesMasterId": "AAMkAGIAAAoZDOFMASTER=",
    "showAs": "busy",
    "type": "occurrence",
    "webLink": "https://outlook.office365.com/owa/?itemid=AAMkAGIAAAoZDOFAAA%3D",
    "onlineMeetingUrl": "https://teams.example.com/l/1",
    "isOnlineMeeting": True,
    "onlineMeetingProvider": "teamsForBusiness",
    "allowNewTimeProposals": True,
    "occurrenceId": "OID.AAMkAGIAAAoZDOFAAA=.2026-03-09",
    "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
    "start": {"dateTime": "2026-03-09T10:00:00.0000000", "timeZone": "W. Europe Standard Time"},
    "end": {"dateTime": "2026-03-09T11:00:00.0000000", "timeZone": "W. Europe Standard Time"},
    "location": {
        "displayName": "The café where nobody knows us",
        "locationType": "default",
        "uniqueId": "The café",
        "uniqueIdType": "private",
        "address": {"street": "4567 Main St", "city": "Redmond", "state": "WA", "countryOrRegion": "US"},
        "coordinates": {"latitude": 47.672, "longitude": -102.103},
        "locationEmailAddress": "cafe@example.com",
        "locationUri": "https://example.com/cafe",
    },
    "locations": [{"displayName": "The café where nobody knows us", "locationType": "default"}],
    "recurrence": {
        "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"], "firstDayOfWeek": "sunday"},
        "range": {"type": "endDate", "startDate": "2026-03-09", "endDate": "2026-06-28"},
    },
    "attendees": [
        {
            **ADA,
            "type": "required",
            "status": {"response": "none", "time": "0001-01-01T00:00:00Z"},
            "proposedNewTime": {
                "start": {"dateTime": "2026-03-09T12:00:00.0000000", "timeZone": "UTC"},
                "end": {"dateTime": "2026-03-09T13:00:00.0000000", "timeZone": "UTC"},
            },
        },
        {**BOB, "type": "optional", "status": {"response": "accepted", "time": "2026-03-01T11:00:00Z"}},
    ],
    "organizer": ADA,
    "onlineMeeting": {
        "joinUrl": "https://teams.example.com/l/1",
        "conferenceId": "177100000",
        "tollNumber": "+1 323 555 0166",
        "phones": [{"type": "office", "number": "+1 323 555 0166"}],
    },
    "extensions": [
        {
            "@odata.type": "microsoft.graph.openTypeExtension",
            "id": "Microsoft.OutlookServices.OpenTypeExtension.Com.Example.Notes",
            "extensionName": "Com.Example.Notes",
            "whatSheSaid": "He drinks",
        }
    ],
    "singleValueExtendedProperties": [{"id": "String {66f5a359} Name Color", "value": "He drinks"}],
    "Com.Example.Notes": {"whatSheSaid": "He drinks"},
    "extension_9f_note": "He drinks",
}
NOTIFICATION: dict[str, Any] = {
    "id": "lsgTZMr9KwAAA",
    "subscriptionId": "76619225-ff6b-4a1e-8efe-6c92c8e5aa75",
    "subscriptionExpirationDateTime": "2026-03-12T22:11:09.952Z",
    "clientState": "a secret",
    "changeType": "created",
    "resource": "Users/ddfcd489-628b-7d04-b48b-20075df800e5/Events/AAMkAGIAAAoZDOFAAA=",
    "tenantId": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
    "resourceData": {
        "@odata.type": "#Microsoft.Graph.Event",
        "@odata.id": "Users/ddfcd489-628b-7d04-b48b-20075df800e5/Events/AAMkAGIAAAoZDOFAAA=",
        "@odata.etag": 'W/"DwAAABYAAADkrWGo7bouTKlsgTZMr9KwAAAUWRHf"',
        "id": ID,
        "subject": "Why Bob wants to leave",
    },
    "encryptedContent": {
        "data": "<EncryptedData>",
        "dataSignature": "c2lnbmVk",
        "dataKey": "a2V5",
        "encryptionCertificateId": "my cert",
        "encryptionCertificateThumbprint": "thumb print",
    },
}
REPORT: dict[str, Any] = {
    "id": "c9b6db1c-d5eb-427d-a5c0-20088d9b22d7",
    "totalParticipantCount": 2,
    "meetingStartDateTime": "2026-03-09T10:00:00.153Z",
    "meetingEndDateTime": "2026-03-09T10:40:00.153Z",
    "externalEventInformation": [{"applicationId": "a", "externalEventId": "the talk about Bob"}],
    "attendanceRecords": [
        {
            "id": "dc17674c-81d9-4adb-bfb2-8f6a442e4623",
            "emailAddress": "ada@example.com",
            "totalAttendanceInSeconds": 2400,
            "role": "Organizer",
            "registrationId": "r 1",
            "identity": {
                "@odata.type": "#microsoft.graph.communicationsUserIdentity",
                "id": "dc17674c-81d9-4adb-bfb2-8f6a442e4623",
                "displayName": "Ada Lovelace",
                "userIdentityType": "aadUser",
                "tenantId": "null",
            },
            "attendanceIntervals": [
                {
                    "joinDateTime": "2026-03-09T10:00:00.153Z",
                    "leaveDateTime": "2026-03-09T10:40:00.153Z",
                    "durationInSeconds": 2400,
                }
            ],
            "externalRegistrationInformation": {"referrer": "Bob", "registrationId": "r 1"},
        }
    ],
}
EXAMPLES: tuple[dict[str, Any], ...] = (
    EVENT,
    EVENT | {"type": "singleInstance", "isCancelled": True},
    EVENT | {"type": "seriesMaster"},
    {"id": ID, "@removed": {"reason": "deleted"}, "lastModifiedDateTime": "2026-03-01T10:01:00Z"},
    {
        "@odata.context": "a context",
        "@odata.deltaLink": "https://graph.microsoft.com/v1.0/x?$deltatoken=R",
        "value": [EVENT],
    },
    {"value": [NOTIFICATION], "validationTokens": ["eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsI"]},
    {"value": [NOTIFICATION | {"lifecycleEvent": "reauthorizationRequired"}]},
    NOTIFICATION
    | {"resource": "communications/onlineMeetings('MSpkYzE3')/transcripts('MSMjMCMj')", "changeType": "updated"},
    NOTIFICATION | {"resource": "users('ada@example.com')/onlineMeetings('MSpkYzE3')/attendanceReports('c9b6db1c')"},
    REPORT,
)
