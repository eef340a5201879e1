"""kill -9 in the middle of load, again and again: every acknowledged event is stored exactly once."""

import random
import threading
import time
import uuid
from pathlib import Path

from tests.support.server import Server, running

KILLS = 4
CLIENTS = 4


def _load(server: Server, acknowledged: set[str], sent: set[str], stop: threading.Event) -> None:
    while not stop.is_set():
        eids = [str(uuid.uuid4()) for _ in range(random.choice((1, 1, 20)))]
        sent.update(eids)
        try:
            status, _ = server.post("/tr/v1/tr/", [{"eid": eid, "ename": "load"} for eid in eids])
        except OSError:
            time.sleep(0.01)
            continue
        if status == 200:
            acknowledged.update(eids)


def test_kills_in_the_middle_of_load_lose_and_double_nothing(tmp_path: Path) -> None:
    acknowledged = [set[str]() for _ in range(CLIENTS)]
    sent = [set[str]() for _ in range(CLIENTS)]
    stop = threading.Event()
    batching = {"events": {"Strategy": "hybrid", "MaxBatchTime": "0.05s"}}
    with running(tmp_path, Batching=batching) as server:
        clients = [
            threading.Thread(target=_load, args=(server, acknowledged[n], sent[n], stop))
            for n in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        try:
            for _ in range(KILLS):
                time.sleep(random.uniform(0.3, 1.2))
                server.kill()
                server.start_again()
        finally:
            stop.set()
            for client in clients:
                client.join()
        assert server.stop() == 0
        stored = [row["eid"] for row in server.rows("SELECT eid FROM events")]
    obligations = set[str]().union(*acknowledged)
    assert len(obligations) > 100, "the load never got through, so nothing was shown"
    assert obligations - set(stored) == set(), "acknowledged and lost"
    assert len(stored) == len(set(stored)), "stored twice"
    assert set(stored) <= set[str]().union(*sent), "stored and never sent"
