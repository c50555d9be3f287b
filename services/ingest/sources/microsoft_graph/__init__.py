"""Microsoft Graph: notifications that only point to what changed, events of Outlook, attendance reports of Teams."""
