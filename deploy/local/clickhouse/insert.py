"""INSERT with rows: the body goes to a temporary file and in through INSERT ... FROM INFILE, as one engine call.

Not `Connection.send_insert`: in chdb 4.4.0 it reports success when a constraint, a materialized view or "too many
parts" failed. Not inline after FORMAT: the engine's splitter of statements cuts binary data. A file also means that a
body cut off by a dying client inserts nothing.
"""

import tempfile

from aiohttp import web

from deploy.local.clickhouse.answer import Asked, summary
from deploy.local.clickhouse.body import Body
from deploy.local.clickhouse.errors import readonly
from deploy.local.clickhouse.statements import Insert


async def answer_insert(asked: Asked, insert: Insert, body: Body) -> web.Response:
    if asked.job.reading:
        raise readonly(f"{asked.job.user.name}: Cannot execute query in readonly mode")
    with tempfile.NamedTemporaryFile(dir=asked.engine.spool, prefix="insert-") as rows:
        rows.write(body.head[insert.rows_at :])
        async for chunk in body.rest():
            rows.write(chunk)
        rows.flush()
        done = await asked.once(insert.from_file(rows.name), "TSV")
    headers = asked.headers | {"X-ClickHouse-Summary": summary(done, asked.began_ns)}
    return web.Response(headers=headers, content_type="text/plain")
