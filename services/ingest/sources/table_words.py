"""Column names and values that tables and feeds use, in several languages."""

from collections.abc import Mapping


def _parse_words(text: str) -> Mapping[str, tuple[str, ...]]:
    """Parse lines of `name: word, word`; an indented line continues the one above."""
    lines = (line.partition(": ") for line in text.strip().replace("\n    ", " ").splitlines())
    return {name: tuple(words.split(", ")) for name, _, words in lines}


# For feeds of people. Names are compared without case, blanks and punctuation, so that "Employee ID", "employee_id" and
# "employeeId" are equal. `leave_until` is the last day of a leave and `back_on` the day after it, `last_day` the day
# before `terminated_on`, `rehired_on` the day on which a former employee returned; `updated_at` counts only if the time
# of receipt is unknown. `on_leave` and `has_left` are flags that refine a less specific status. If several synonyms are
# present, the first wins: append new ones, so that existing tables keep their reading.
PEOPLE_COLUMNS = _parse_words("""
id: id, participant, participant_id, employee_id, employee_number, emp_id, person_id, person_number, personnel_number,
    worker_id, external_id, personalnummer, personal_nr, mitarbeiternummer, mitarbeiter_id, matricule, employee_no,
    pers_nr, mitarbeiter_nr, ma_nr, matricola, numéro_d_employé, número_de_empleado, personeelsnummer, user_id,
    associate_id, person_id_external
name: name, full_name, display_name, legal_name, name.formatted, employee_name, worker, name.full_name,
    user.display_name, last_name_first_name, nachname_vorname, name_vorname, payroll_name,
    default_full_name, profile.display_name
first_name: first_name, given_name, forename, name.given_name, vorname, prénom, nombre, nome, voornaam,
    legal_first_name, preferred_first_name, profile.first_name, first_name_required
last_name: last_name, family_name, surname, name.family_name, nachname, familienname, nom, cognome, apellido,
    apellidos, achternaam, legal_last_name, profile.last_name, last_name_required
addresses: addresses, address, email, emails, mail, email_address, work_email, business_email, e_mail_adresse,
    mailadresse, adresse_e_mail, courriel, primary_work_email, primary_email, email_primary_work, company_email,
    email_work, work_email_address, emails.work, work.email, contact.email, dienstliche_e_mail, e_mail_geschäftlich,
    e_mail_dienstlich, correo_electrónico, e_mailadres, indirizzo_email,
    profile.email, email_address_required, work_contact_work_email
status: status, employment_status, employee_status, worker_status, active, is_active, beschäftigungsstatus,
    mitarbeiterstatus, statut, active_status, employment.status, internal.status, role_state, aktiv, stato,
    currently_active, position_status, employee_status_code, assignment_status_type, status_read_only
on_leave: on_leave, is_on_leave, currently_on_leave
has_left: has_left, terminated, is_terminated
leave_from: leave_from, leave_start, leave_start_date, leave_begin, first_day_of_leave, karenz_ab,
    karenz_von, elternzeit_ab, elternzeit_von, leave_of_absence_start_date
leave_until: leave_until, leave_end, leave_end_date, last_day_of_leave, estimated_last_day_of_leave, karenz_bis,
    elternzeit_bis
back_on: back_on, return_date, returns_on, first_day_back, leave_of_absence_return_date
rehired_on: rehired_on, rehire_date
terminated_on: terminated_on, termination_date, left_on, exit_date, employment_end_date, austrittsdatum,
    date_of_termination, leaving_date, date_of_leaving, separation_date, austritt, date_de_sortie, end_date
last_day: last_day, last_day_of_work, last_working_day, last_day_worked, letzter_arbeitstag
time_zone: time_zone, timezone, tz, zeitzone
consent: consent, einwilligung
updated_at: updated_at, last_modified, last_modified_at, modified_at, meta.last_modified
""")

# For imported tables, in addition to our own names: proposed to the user, and used once confirmed.
COLUMN_WORDS = _parse_words("""
relationship: relationship id, pair, pair id, match, match id, mentorship, mentoring pair, beziehung, tandem, tandem
    id, tandem-nr, tandemnummer, paar, mentoringpaar
started_at: start, start date, started, started on, since, beginn, startdatum, anfang, seit
mentors: mentor, mentor id, mentorin, mentoren, mentor:in, mentorinnen, mentor/in
mentees: mentee, mentee id, mentee:in
kind: type, art, form
cadence_days: cadence, every days, meeting interval, rhythmus, takt, abstand, rhythmus in tagen
planned_end: planned end date, end planned for, geplantes ende, ende geplant am, laufzeit bis
coordinator: programme manager, koordination, koordinator, koordinatorin
cohort: group, kohorte, jahrgang
ended_at: ended, end, end date, ended on, ende, enddatum, beendet am
end_planned: ended as planned, as planned, wie geplant, planmäßig, planmäßig beendet
end_reason: reason, reason for the end, grund, grund des endes
ended_by: beendet durch, beendet von
status: state, result, outcome, what happened, zustand, ergebnis
starts_at: start, start time, starts, date, date and time, meeting date, when, beginn, datum, termin, datum und
    uhrzeit, start am
session_id: session, meeting id, meeting, termin-id, terminnummer, sitzung
ends_at: end, end time, ends, ende, bis
minutes: duration, length, minutes held, dauer, minuten, dauer in minuten
absent: no show, who was absent, abwesend, fehlte, gefehlt hat
booked_at: booked, booked on, gebucht am, vereinbart am
cancelled_at: cancelled, canceled, cancelled on, canceled on, abgesagt am
by: from, given by, role, von, durch, rolle
evidence: known from, nachweis, beleg
goal_id: goal, goal number, ziel, ziel-id, zielnummer
change: action, what changed, status, änderung, zustand, schritt
at: date, on, when, date and time, datum, am, wann, timestamp, zeitstempel, completion time, fertigstellungszeit,
    submitted at, submit date
percent: progress, percent done, fortschritt, prozent, %
due: due date, deadline, fällig, fällig am, frist
specific: spezifisch
measurable: messbar
achievable: attainable, erreichbar
relevant: realistic
time_bound: timebound, time-boxed, terminiert
rating: score, stars, bewertung, punkte, sterne
scale_min: scale from, lowest, skala von
scale_max: scale to, highest, out of, skala bis
about: subject, thema, worüber, bezug
participant: id, person, person id, participant id, employee id, employee number, user id, personalnummer,
    personal-nr, personen-id, mitarbeiternummer, mitarbeiter-nr, mitarbeiter-id
name: full name, display name, vor- und nachname, anzeigename
consent: consent given, has consented, einwilligung, zustimmung, einverstanden
addresses: email, e-mail, mail, email address, e-mail-adresse, e-mail-adressen, mailadresse
identities: tool ids, kennungen
time_zone: timezone, tz, zeitzone
program: programme, program id, programm
source: quelle
""")

_SIDES = _parse_words("""
mentor: mentorin, mentor:in, mentor/in, der mentor, die mentorin
mentee: mentee:in, die mentee, der mentee, mentees
admin: hr, verwaltung, koordination
""")
_VALUES = _parse_words("""
yes or no = yes: ja, j, wahr, x, ok, given, erteilt
yes or no = no: nein, falsch, none, kein, not given, nicht erteilt
status = held: took place, completed, done, happened, attended, stattgefunden, durchgeführt, fand statt
status = missed: no show, did not show, not attended, nicht erschienen, verpasst
status = cancelled: canceled, called off, abgesagt, storniert
status = scheduled: planned, booked, upcoming, geplant, vereinbart, gebucht
status = active: aktiv, employed, angestellt
status = leave: on leave, karenz, elternzeit, beurlaubt, parental leave
status = exited: left, terminated, ausgetreten, ausgeschieden
absent = both: beide, nobody came, keiner
kind = one_to_one: 1:1, one-to-one, one on one, einzeln, eins zu eins, zu zweit
kind = group: gruppe
kind = reverse: umgekehrt, reverse mentoring
change = set: new, created, agreed, neu, gesetzt, vereinbart, angelegt
change = revised: changed, updated, angepasst, geändert, überarbeitet
change = progressed: progress, in progress, fortschritt, in arbeit
change = achieved: done, completed, reached, erreicht, erledigt
change = missed: not reached, verfehlt, nicht erreicht
change = abandoned: dropped, given up, aufgegeben, verworfen
about = session: meeting, treffen, termin, sitzung
about = relationship: overall, mentoring, beziehung, tandem, insgesamt
""")
VALUE_WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    column: {
        **(_SIDES if column in {"absent", "by", "ended_by"} else {}),
        **{name.partition(" = ")[2]: words for name, words in _VALUES.items() if name.startswith(f"{column} = ")},
    }
    for column in ("yes or no", "status", "absent", "by", "ended_by", "kind", "change", "about")
}
"""Synonyms of values, by column and by our value."""
