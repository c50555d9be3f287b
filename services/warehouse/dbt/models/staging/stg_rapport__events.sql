-- One row per event that is not retracted.
SELECT * EXCEPT (retracted) FROM {{ source('rapport', 'events') }} WHERE NOT retracted
