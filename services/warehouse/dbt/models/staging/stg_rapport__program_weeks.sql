-- One row per programme and week.
SELECT * FROM {{ source('rapport', 'program_week') }}
