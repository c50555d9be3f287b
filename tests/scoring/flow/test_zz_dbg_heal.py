from tests.scoring.flow.test_heal import with_late_facts,keyed,long_log,heal,said,end_of,stops_well,place,storing,table_of,truth_of
from tests.receiver import eventually
from tests.scoring.flow.conftest import scoring
from tests.conftest import local_kafka, local_clickhouse
from services.runtime.kafka import read_to_end
import json
import pytest
@pytest.mark.parametrize('n',range(6))
def test_dbg(scoring, place, n):
    events = with_late_facts(long_log(35+n, 40), 30)
    service = scoring.start()
    healed = 0
    H=[]
    with scoring.feeding(keyed(events), 10, 0.4):
        eventually(lambda: service.said('run_applied')>3)
        for _ in range(6):
            r=heal(place, (), said); H.append(r)
    scoring.reach(end_of(events))
    scoring.await_clock(end_of(events))
    stops_well(service)
    H.append(heal(place, (), said))
    print([list(r.healed) for r in H])
    t,u=table_of(place),truth_of(place)
    from services.runtime.clickhouse import ClickHouse
    c=ClickHouse(place.settings)
    print("dead", c.query("select * from mentoring.dead_letter"))
    for n in sorted(t.keys()|u.keys()):
        a,b=t.get(n,{}),u.get(n,{})
        for at in sorted(a.keys()|b.keys()):
            if a.get(at)!=b.get(at):
                print("DIFF",n,at,at in a,at in b)
                print(c.query(f"select as_of,position,version,is_deleted,mode,causes,log_offset,log_partition,inserted_at from mentoring.score_history where relationship_id='{n[2:]}' and as_of=fromUnixTimestamp64Micro({at})"))
                for rec in read_to_end(place.settings,[place.names.scores]):
                    if rec.key==n.encode():
                        d=json.loads(rec.value)["data"]
                        from schemas.primitives import to_micros
                        from datetime import datetime
                        if to_micros(datetime.fromisoformat(d["as_of"]))==at: print("  topic",rec.partition,rec.offset,d["position"],d["mode"],d["deleted"],d["score"] and d["score"]["causes"])
    assert t==u
