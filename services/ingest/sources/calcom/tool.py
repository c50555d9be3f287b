"""What Cal.com offers to the rest of ingest."""

from services.ingest.sources.calcom.proof import prove
from services.ingest.sources.calcom.translation import translate
from services.ingest.sources.tool import Tool

# Answers to questions, reasons, notes, names, phone numbers, links into the meeting, and whole calendar files.
FREE_TEXT = frozenset(
    {
        *("title", "eventTitle", "description", "eventDescription", "additionalNotes", "customInputs", "responses"),
        *("userFieldsResponses", "cancellationReason", "rejectionReason", "location", "name", "firstName", "lastName"),
        *("username", "phoneNumber", "smsReminderNumber", "message", "metadata", "videoCallData", "conferenceData"),
        *("ratingFeedback", "notes", "paymentData", "payment", "attendeeIcsContent", "organizerIcsContent", "report"),
        *("hashedLink", "destinationCalendar", "references"),
    }
)

TOOL = Tool(name="calcom", prove=prove, translate=translate, free_text=FREE_TEXT)
