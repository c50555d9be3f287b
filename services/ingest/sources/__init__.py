"""The tools that people already use: one package per tool, each pure: how a request proves itself, what it says."""
