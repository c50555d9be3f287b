{# Gives the keys of which there are several rows: nothing where the model has one row per key. #}
{% test one_row_per(model, columns) %}
SELECT {{ columns | join(', ') }}, count() AS rows
FROM {{ model }}
GROUP BY {{ columns | join(', ') }}
HAVING rows > 1
{% endtest %}
