"""Zoom's events of meetings, registrations, recordings, summaries, chats and phones."""

from typing import Any

SETTINGS: dict[str, Any] = {
    "host_video": False,
    "participant_video": True,
    "join_before_host": False,
    "mute_upon_entry": True,
    "use_pmi": False,
    "approval_type": 0,
    "audio": "both",
    "audio_conference_info": "Dial in with the code that I told you",
    "auto_recording": "cloud",
    "enforce_login_domains": "example.com",
    "alternative_hosts": "eve@example.com;Bob <bob@example.com>",
    "contact_name": "Ada Lovelace",
    "contact_email": "ada@example.com",
    "registrants_email_notification": True,
    "custom_keys": [{"key": "team", "value": "those who want to leave"}],
    "global_dial_in_numbers": [
        {"city": "New York", "country": "US", "country_name": "US", "number": "+1 1000200200", "type": "toll"}
    ],
    "language_interpretation": {
        "enable": True,
        "interpreters": [{"email": "cy@example.com", "languages": "English,French"}],
    },
    "meeting_invitees": [{"email": "ada@example.com"}, {"email": "Bob B <bob@example.com>"}],
    "calendar_type": 2,
    "question_and_answer": {"allow_submit_questions": True, "question_visibility": "all"},
}
MEETING: dict[str, Any] = {
    "uuid": "4444AAAiAAAAAiAiAiiAii==",
    "id": 1234567890,
    "host_id": "x1yCzABCDEfg23HiJKl4mN",
    "host_email": "ada@example.com",
    "assistant_id": "kFFvsJc-Q1OSxaJQLvaa_A",
    "topic": "Why Bob wants to leave",
    "agenda": "First his boss, then his health",
    "type": 8,
    "status": "waiting",
    "start_time": "2026-03-09T10:00:00Z",
    "duration": 60,
    "timezone": "America/Los_Angeles",
    "created_at": "2026-03-01T10:00:00Z",
    "start_url": "https://zoom.us/s/1234567890?zak=eyJhbGciOi",
    "join_url": "https://zoom.us/j/1234567890?pwd=secret",
    "registration_url": "https://zoom.us/meeting/register/abc",
    "password": "123456",
    "h323_password": "123456",
    "pstn_password": "123456",
    "encrypted_password": "8pEkRweVXPV3Ob2KJYgFTRlDtl1gSn",
    "pmi": "97891943927",
    "tracking_fields": [{"field": "field1", "value": "burnout", "visible": True}],
    "occurrences": [
        {"occurrence_id": "1648194360000", "start_time": "2026-03-09T10:00:00Z", "duration": 60, "status": "available"},
        {"occurrence_id": "1648194360001", "start_time": "2026-03-16T10:00:00Z", "duration": 60, "status": "deleted"},
    ],
    "recurrence": {"type": 2, "repeat_interval": 1, "weekly_days": "1", "end_times": 2, "end_date_time": ""},
    "settings": SETTINGS,
}
PARTICIPANT: dict[str, Any] = {
    "user_id": "16778240",
    "user_name": "Ada Lovelace",
    "id": "iFxeBPYun6SAiWUzBcEkX",
    "participant_uuid": "55555AAAiAAAAAiAiAiiAii",
    "participant_user_id": "rstuvwxyza789-cde",
    "registrant_id": "abcdefghij0-klmnopq23456",
    "email": "ada@example.com",
    "customer_key": "349589LkJyeW",
    "phone_number": "8615250064084",
    "date_time": "2026-03-09T10:00:00Z",
    "join_time": "2026-03-09T10:00:00Z",
    "leave_time": "2026-03-09T10:40:00Z",
    "leave_reason": "Ada Lovelace left the meeting.<br>Reason: she cried.",
    "private_ip": "10.0.0.1",
    "public_ip": "203.0.113.1",
}
REGISTRANT: dict[str, Any] = {
    "id": "U0BBBBBBBBBBfrUz1Q",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.com",
    "address": "1 Main Street",
    "city": "London",
    "country": "GB",
    "zip": "NW1",
    "state": "London",
    "phone": "5550100",
    "industry": "Computing",
    "org": "Analytical Engines",
    "job_title": "Countess",
    "purchasing_time_frame": "More than 6 months",
    "role_in_purchase_process": "Influencer",
    "no_of_employees": "1-20",
    "comments": "I am pregnant, please tell nobody",
    "custom_questions": [{"title": "What do you hope to learn?", "value": "How to leave my boss"}],
    "status": "approved",
    "join_url": "https://zoom.us/w/1?tk=secret",
    "participant_pin_code": 380303,
}
RECORDING: dict[str, Any] = {
    "id": "ed6c2f27-2ae7-42f4-b3d0-835b493e4fa8",
    "meeting_id": "098765ABCD",
    "recording_start": "2026-03-09T10:00:00Z",
    "recording_end": "2026-03-09T10:40:00Z",
    "recording_type": "audio_transcript",
    "file_type": "TRANSCRIPT",
    "file_size": 246560,
    "file_extension": "VTT",
    "file_path": "/9090876528/path01/demo.vtt",
    "file_name": "Ada about her boss",
    "play_url": "https://example.com/recording/play/Qg75t7xZBtEbAkjdlgbfdngBBBB",
    "download_url": "https://example.com/recording/download/Qg75t7xZBtEbAkjdlgbfdngBBBB",
    "status": "completed",
}
SUMMARY: dict[str, Any] = {
    "meeting_host_id": "x1yCzABCDEfg23HiJKl4mN",
    "meeting_host_email": "ada@example.com",
    "meeting_uuid": "4444AAAiAAAAAiAiAiiAii==",
    "meeting_id": 1234567890,
    "meeting_topic": "Why Bob wants to leave",
    "meeting_start_time": "2026-03-09T10:00:00Z",
    "meeting_end_time": "2026-03-09T10:40:00Z",
    "summary_start_time": "2026-03-09T10:00:00Z",
    "summary_end_time": "2026-03-09T10:40:00Z",
    "summary_created_time": "2026-03-09T10:45:00Z",
    "summary_last_modified_time": "2026-03-09T10:45:00Z",
    "summary_title": "Meeting summary for Why Bob wants to leave",
    "summary_overview": "Ada asked Bob about his health, and Bob told her.",
    "summary_details": [{"label": "Health", "summary": "Bob has not slept since May."}],
    "next_steps": ["Bob: see a doctor"],
    "edited_summary": {"summary_details": "He has slept.", "next_steps": ["Nothing"]},
}


def told(name: str, thing: object, **payload: object) -> dict[str, Any]:
    account = {"account_id": "AAAAAABBBB", "operator": "ada@example.com", "operator_id": "z8yCzABCDEfg23HiJKl4mN"}
    return {"event": name, "event_ts": 1772445600000, "payload": {**account, **payload, "object": thing}}


ATTENDED = MEETING | {"participant": PARTICIPANT, "end_time": "2026-03-09T10:40:00Z"}
EXAMPLES: tuple[dict[str, Any], ...] = (
    told("meeting.created", MEETING, operation="single"),
    told(
        "meeting.updated",
        MEETING,
        scope="all",
        time_stamp=1772445600000,
        old_object={"id": 1234567890, "topic": "Bob", "agenda": "Bob", "occurrences": MEETING["occurrences"]},
    ),
    told("meeting.deleted", MEETING, operation="all"),
    told("meeting.participant_joined", ATTENDED),
    told("meeting.participant_left", ATTENDED),
    told("meeting.ended", ATTENDED),
    told("meeting.registration_created", MEETING | {"registrant": REGISTRANT}),
    told("meeting.alert", MEETING | {"issues": ["Unstable audio quality of Ada's"]}),
    told("meeting.summary_completed", SUMMARY),
    told("meeting.chat_message_sent", MEETING | {"chat_message": {"message_content": "He is mad", "sender_name": "A"}}),
    told(
        "recording.completed",
        MEETING | {"share_url": "https://example.com/rec/share", "recording_files": [RECORDING], "total_size": 3328371},
        download_token="abJhbGciOiJIUzUxMiJ9.eyJpc3MiOiJodHRwczovL2V2ZW50Lnpvb20udXMiLCJ",
    )
    | {"download_token": "abJhbGciOiJIUzUxMiJ9.eyJpc3MiOiJodHRwczovL2V2ZW50Lnpvb20udXMiLCJ"},
    told("phone.callee_ended", {"caller": {"phone_number": "+12092693937", "name": "Ada"}, "call_id": "6998252"}),
)
