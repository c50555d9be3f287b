"""Settings of a connection to Microsoft Graph."""

from services.ingest.sources.api_settings import ApiSettings, ApiUrl


class MicrosoftGraphSettings(ApiSettings):
    """National clouds have addresses of their own."""

    api_url: ApiUrl = "https://graph.microsoft.com/v1.0"
