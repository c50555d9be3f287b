"""What one answer becomes: the data of an event."""

from collections.abc import Mapping

from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.scale import MEASURED, RATED, Scale, on_our_scale
from services.ingest.sources.typeform.response import Answer
from services.ingest.sources.typeform.settings import Question

NOT_SAID = Ignored("answer_of_no_interest")
PERCENT = Scale(min=0, max=100)
OURS = Scale(min=1, max=5)


def data_of(answer: Answer, question: Question, in_form: Scale | None) -> Mapping[str, object] | Ignored | Rejected:
    """Without the members that hidden fields hold. Paths begin at the answer."""
    if question.when and not answer.names & set(question.when):
        return NOT_SAID
    if question.filled is None:
        return question.data
    filled = _filled(answer, question, in_form)
    return filled if isinstance(filled, Rejected) else {**question.data, **filled}


def _filled(answer: Answer, question: Question, in_form: Scale | None) -> Mapping[str, object] | Rejected:
    if question.values:
        return _by_values(answer, question)
    if question.filled == "due":
        return {"due": answer.date[:10]} if answer.date else {}
    if answer.number is not None:
        return _measured(answer.number, question, in_form)
    if question.type == "mentoring.checkin.answered.v1":
        # That it was answered is worth knowing; the rating may be missing.
        return {}
    return rejected("invalid", "number", f"is required: {question.type} needs a number, or values in the settings")


def _by_values(answer: Answer, question: Question) -> Mapping[str, object] | Rejected:
    meant = next((question.values[name] for name in sorted(answer.names & question.values.keys())), None)
    if meant is None:
        return rejected("invalid", answer.type, "the settings do not say what this answer stands for (values)")
    if isinstance(meant, str) or question.type not in MEASURED:
        return {str(question.filled): meant}
    ours = OURS if question.type in RATED else None
    return _measured(meant, question, ours)


def _measured(number: float, question: Question, in_form: Scale | None) -> Mapping[str, object] | Rejected:
    scale = _scale(question, in_form)
    if isinstance(scale, Rejected):
        return scale
    if not scale.holds(number):
        return rejected("invalid", "number", f"must lie on the scale from {scale.min:g} to {scale.max:g}")
    return on_our_scale(question.type, number, scale)


def _scale(question: Question, in_form: Scale | None) -> Scale | Rejected:
    given = question.scale
    if given and in_form and given != in_form:
        form, ours = (f"{scale.min:g} to {scale.max:g}" for scale in (in_form, given))
        return rejected("invalid", "number", f"the form's scale is {form}, that of the settings {ours}")
    found = given or in_form or (PERCENT if question.filled == "percent" else None)
    return found or rejected("invalid", "number", "its scale stands neither in the form nor in the settings")
