"""The views for data teams, each with its key columns."""

PROGRAM = ("tenant_id", "program_id")
RELATIONSHIP = (*PROGRAM, "relationship_id")
MARTS: dict[str, tuple[str, ...]] = {
    "events": (*RELATIONSHIP, "occurred_at", "event_id"),
    "events_by_type": (*RELATIONSHIP, "occurred_at", "event_id"),
    "scores": (*RELATIONSHIP, "as_of"),
    "score_factors": (*RELATIONSHIP, "as_of", "factor"),
    "score_versions": (*RELATIONSHIP, "as_of", "version"),
    "relationship_current": RELATIONSHIP,
    "relationships": RELATIONSHIP,
    "relationship_people": (*RELATIONSHIP, "person", "side"),
    "replies": (*RELATIONSHIP, "answered_at", "event_id", "asked_at"),
    "feedback": (*RELATIONSHIP, "given_at", "event_id"),
    "relationship_day": (*RELATIONSHIP, "day"),
    "relationship_month": (*RELATIONSHIP, "month"),
    "risk_cases": (*RELATIONSHIP, "day"),
    "factor_costs": (*RELATIONSHIP, "factor"),
    "program_day": (*PROGRAM, "day"),
    "program_week": (*PROGRAM, "week"),
    "activity_day": (*PROGRAM, "day", "type"),
    "programs": PROGRAM,
    "sources": (*PROGRAM, "source"),
    "alerts": (*PROGRAM, "dedup_key"),
    "alert_acts": (*PROGRAM, "event_id"),
    "alert_outcomes": (*RELATIONSHIP, "dedup_key"),
    "rule_precision": (*PROGRAM, "rule"),
    "deliveries": (*PROGRAM, "delivery_id"),
    "delivery_alerts": (*PROGRAM, "delivery_id", "dedup_key"),
    "data_quality": (*PROGRAM, "kind"),
    "rejected_inputs": ("origin_topic", "origin_partition", "origin_offset", "part"),
    "dead_letters": ("topic", "log_partition", "log_offset"),
    "erasures": ("tenant_id", "erased_at", "table_name"),
    "filled_tables": ("table_name",),
}
# Views that a programme's own reader may see: every row states its programme.
OF_PROGRAMS = tuple(mart for mart, key in MARTS.items() if key[: len(PROGRAM)] == PROGRAM)
