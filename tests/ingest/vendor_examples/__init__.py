"""Payloads with all members that vendors document, also those that nobody needs: by tool, in the words of the docs."""
