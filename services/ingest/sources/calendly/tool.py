"""What Calendly offers to the rest of ingest."""

from services.ingest.sources.calendly.proof import prove
from services.ingest.sources.calendly.translation import translate
from services.ingest.sources.tool import Tool

# Answers to questions, reasons, notes, phone numbers, names, and links that change a booking.
FREE_TEXT = frozenset(
    {
        *("questions_and_answers", "reason", "text_reminder_number", "name", "first_name", "last_name", "user_name"),
        *("meeting_notes_plain", "meeting_notes_html", "location", "tracking", "canceled_by", "cancel_url"),
        *("reschedule_url", "payment", "invitee_scheduled_by"),
    }
)

TOOL = Tool(name="calendly", prove=prove, translate=translate, free_text=FREE_TEXT)
