"""Microsoft Graph: change notifications as pointers, Outlook events and Teams attendance reports."""
