"""Calendly's webhooks of API v2, also those of routing forms."""

from typing import Any

API = "https://api.calendly.com"
INVITEE_URI = f"{API}/scheduled_events/GBGBDCAADAEDCRZ2/invitees/AAAAAAAAAAAAAAAA"
LINKS = "https://calendly.com"
SCHEDULED: dict[str, Any] = {
    "uri": f"{API}/scheduled_events/GBGBDCAADAEDCRZ2",
    "name": "Talk about Bob's health",
    "meeting_notes_plain": "He has not slept since May",
    "meeting_notes_html": "<p>He has not slept since May</p>",
    "status": "active",
    "start_time": "2026-03-09T10:00:00.000000Z",
    "end_time": "2026-03-09T10:30:00.000000Z",
    "event_type": f"{API}/event_types/GBGBDCAADAEDCRZ2",
    "location": {
        "type": "physical",
        "location": "The café where nobody knows us",
        "additional_info": "ring twice",
        "join_url": "https://example.com/join",
        "data": {"password": "1234", "extra": {"intl_numbers_url": "https://example.com"}},
    },
    "invitees_counter": {"total": 1, "active": 1, "limit": 1},
    "created_at": "2026-03-01T10:00:00.000000Z",
    "updated_at": "2026-03-01T10:00:00.000000Z",
    "event_memberships": [
        {
            "user": f"{API}/users/GBGBDCAADAEDCRZ2",
            "user_email": "ada@example.com",
            "user_name": "Ada Lovelace",
            "buffered_start_time": "2026-03-09T09:45:00.000000Z",
            "buffered_end_time": "2026-03-09T10:45:00.000000Z",
        }
    ],
    "event_guests": [
        {
            "email": "cy@example.com",
            "created_at": "2026-03-01T10:00:00.000000Z",
            "updated_at": "2026-03-01T10:00:00.000000Z",
        }
    ],
    "calendar_event": {"external_id": "8suu9k3hj00mni03ss12ba0ce0", "kind": "google"},
}
INVITEE: dict[str, Any] = {
    "uri": INVITEE_URI,
    "cancel_url": f"{LINKS}/cancellations/AAAAAAAAAAAAAAAA",
    "reschedule_url": f"{LINKS}/reschedulings/AAAAAAAAAAAAAAAA",
    "created_at": "2026-03-01T10:00:00.000000Z",
    "updated_at": "2026-03-01T10:00:00.000000Z",
    "email": "Bob B <bob@example.com>",
    "event": f"{API}/scheduled_events/GBGBDCAADAEDCRZ2",
    "name": "Bob B",
    "first_name": "Bob",
    "last_name": "B",
    "status": "active",
    "timezone": "America/New_York",
    "text_reminder_number": "+1 404-555-1234",
    "questions_and_answers": [{"question": "Why?", "answer": "My boss and my health", "position": 0}],
    "tracking": {
        "utm_campaign": "those who want to leave",
        "utm_source": "mail from HR",
        "utm_medium": "a mail",
        "utm_content": "come",
        "utm_term": "leave",
        "salesforce_uuid": "003",
    },
    "rescheduled": False,
    "old_invitee": f"{API}/scheduled_events/GBGBDCAADAEDCRZ1/invitees/BBBBBBBBBBBBBBBB",
    "new_invitee": None,
    "routing_form_submission": f"{API}/routing_form_submissions/AAAAAAAAAAAAAAAA",
    "payment": {
        "external_id": "ch_AAAAAAAAAAAAAAAAAAAAAAAA",
        "provider": "stripe",
        "amount": 1234.56,
        "currency": "USD",
        "terms": "sample terms of payment (up to 1,024 characters)",
        "successful": True,
    },
    "cancellation": {
        "canceled_by": "Bob B",
        "reason": "My boss found out",
        "canceler_type": "invitee",
        "created_at": "2026-03-02T10:00:00.000000Z",
    },
    "no_show": {"uri": f"{API}/invitee_no_shows/6ee96ed4", "created_at": "2026-03-09T11:00:00.000000Z"},
    "reconfirmation": {"created_at": "2026-03-02T10:00:00.000000Z", "confirmed_at": "2026-03-02T11:00:00.000000Z"},
    "scheduling_method": "instant_book",
    "invitee_scheduled_by": f"{API}/users/GBGBDCAADAEDCRZ2",
    "scheduled_event": SCHEDULED,
}
ROUTED: dict[str, Any] = {
    "uri": f"{API}/routing_form_submissions/AAAAAAAAAAAAAAAA",
    "routing_form": f"{API}/routing_forms/AAAAAAAAAAAAAAAA",
    "questions_and_answers": [{"question_uuid": "1", "question": "Why?", "answer": "My boss"}],
    "tracking": INVITEE["tracking"],
    "result": {"type": "custom_message", "value": {"headline": "Sorry, Bob", "body": "See a doctor"}},
    "submitter": INVITEE_URI,
    "submitter_type": "Invitee",
    "created_at": "2026-03-01T10:00:00.000000Z",
    "updated_at": "2026-03-01T10:00:00.000000Z",
}


def told(name: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "event": name,
        "created_at": "2026-03-01T10:00:00.000000Z",
        "created_by": f"{API}/users/AAAAAAAAAAAAAAAA",
        "payload": payload,
    }


EXAMPLES: tuple[dict[str, Any], ...] = (
    told("invitee.created", INVITEE),
    told("invitee.canceled", INVITEE | {"status": "canceled", "old_invitee": None}),
    told("invitee_no_show.created", INVITEE),
    told("invitee_no_show.deleted", INVITEE),
    told("routing_form_submission.created", ROUTED),
)
