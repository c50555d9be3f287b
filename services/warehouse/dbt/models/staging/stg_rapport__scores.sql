-- One row per relationship and scored instant, as it is known now.
SELECT * FROM {{ source('rapport', 'scores') }}
