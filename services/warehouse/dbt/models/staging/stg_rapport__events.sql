-- One row per event that stands.
SELECT * EXCEPT (retracted) FROM {{ source('rapport', 'events') }} WHERE NOT retracted
