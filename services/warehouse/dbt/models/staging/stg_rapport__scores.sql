-- One row per relationship and scored instant, as known now.
SELECT * FROM {{ source('rapport', 'scores') }}
