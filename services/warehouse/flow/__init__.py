"""Moves data: records into tables, then derived tables; migrations first."""
