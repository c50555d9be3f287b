"""Settings of a connection to Google Calendar."""

from services.ingest.sources.api_settings import ApiSettings, ApiUrl


class GoogleCalendarSettings(ApiSettings):
    api_url: ApiUrl = "https://www.googleapis.com/calendar/v3"
