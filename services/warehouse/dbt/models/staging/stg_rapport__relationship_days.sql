-- One row per relationship and UTC day.
SELECT * FROM {{ source('rapport', 'relationship_day') }}
