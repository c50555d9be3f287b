-- Whether ClickHouse answers.
SELECT 1
