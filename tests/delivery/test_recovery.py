"""What a dead worker leaves, as whoever comes next finds it: the journal, the leased chunk, nothing else."""

import datetime
import fcntl
import os
import threading
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from newsletter.delivery import planning, recovery
from newsletter.delivery.journal import Journal, Remains, remains
from newsletter.delivery.leases import Lease
from newsletter.delivery.ledger import GROUP, Ledger
from newsletter.delivery.models import Chunk, ChunkState, Delivery, DeliveryState
from newsletter.delivery.replies import Failure, Outcome, Verdict
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from tests.delivery import world

OWNER = "host:1:a"
COMMIT = Session.commit
ACCEPTED = Outcome(Verdict.ACCEPTED, 250, "queued as 1")
TOLD = [
    ACCEPTED,
    Outcome(Verdict.ACCEPTED, 250),
    Outcome(Verdict.REFUSED, 550, "5.1.1 no such reader 12", Failure.READER),
    Outcome(Verdict.TEMPORARY, 451, "4.7.1 come back in 300 s, " + 10 * "and not before ", Failure.TEMPORARY),
    Outcome(Verdict.UNKNOWN, None, "the connection was lost"),
]


def begun(app: Flask) -> tuple[Ledger, Lease, list[int]]:
    """A worker has leased the chunk and begun its first group."""
    ledger = Ledger(app, OWNER)
    lease = ledger.claim(bulk=True)
    assert lease is not None
    group = ledger.begin(lease, GROUP, {}, 0)
    assert group is not None
    return ledger, lease, sorted(group.messages)


def state_of(delivery_id: int) -> DeliveryState:
    return db.session.get_one(Delivery, delivery_id, populate_existing=True).state


def die(journal: Journal, *, host_too: bool = False) -> None:
    """End as kill -9 does: the files stay, their locks go."""
    for side in journal._sides:
        if host_too:
            _, _, lines = side.path.read_bytes().partition(b"\n")
            side.path.write_bytes(f"{OWNER} another-boot\n".encode() + lines)
        side._memory.close()
        os.close(side.fd)


def test_only_a_dot_without_a_reply_is_unknown(app_on_each: Flask, tmp_path: Path) -> None:
    world.build(10)
    world.start()
    _, _, ids = begun(app_on_each)
    journal = Journal(tmp_path / "j", OWNER)
    for delivery_id in ids[:3]:
        journal.about_to_send(delivery_id)
    journal.told(ids[0], ACCEPTED)
    journal.told(ids[1], Outcome(Verdict.REFUSED, 550, "5.1.1 no"))
    die(journal)
    assert recovery.recover(tmp_path / "j", utc_now()) == 1
    found = [state_of(delivery_id) for delivery_id in ids]
    assert found[:3] == [DeliveryState.ACCEPTED, DeliveryState.FAILED, DeliveryState.UNKNOWN]
    assert set(found[3:]) == {DeliveryState.PLANNED}
    assert world.states(db.session()) == {"accepted": 1, "failed": 1, "unknown": 1, "planned": 7}
    assert db.session.scalars(select(Chunk.state)).one() is ChunkState.READY
    assert list((tmp_path / "j").iterdir()) == []


def test_after_the_host_went_down_too_the_journals_silence_proves_nothing(app: Flask, tmp_path: Path) -> None:
    world.build(5)
    world.start()
    _, _, ids = begun(app)
    journal = Journal(tmp_path / "j", OWNER)
    journal.about_to_send(ids[0])
    journal.told(ids[0], ACCEPTED)
    die(journal, host_too=True)
    recovery.recover(tmp_path / "j", utc_now())
    assert state_of(ids[0]) is DeliveryState.ACCEPTED, "what it says is still true"
    assert world.states(db.session()) == {"accepted": 1, "unknown": 4}


@pytest.mark.parametrize("side", [0, 1], ids=["first", "second"])
def test_of_a_file_that_a_power_cut_left_empty_nothing_is_believed(app: Flask, tmp_path: Path, side: int) -> None:
    world.build(5)
    world.start()
    _, _, ids = begun(app)
    journal = Journal(tmp_path / "j", OWNER)
    for delivery_id in ids[:2]:
        journal.about_to_send(delivery_id)
        journal.told(delivery_id, ACCEPTED)
        journal.turn()
    die(journal)
    journal._sides[side].path.write_bytes(bytes(4096))
    recovery.recover(tmp_path / "j", utc_now())
    assert world.states(db.session()) == {"accepted": 1, "unknown": 4}
    assert list((tmp_path / "j").iterdir()) == []


def test_a_journal_whose_owner_lives_is_left_alone(app: Flask, tmp_path: Path) -> None:
    world.build(3)
    world.start()
    begun(app)
    journal = Journal(tmp_path / "j", OWNER)
    assert recovery.recover(tmp_path / "j", utc_now()) == 0
    assert world.states(db.session()) == {"sending": 3}
    journal.close()


@pytest.mark.parametrize("side", [0, 1], ids=["first", "second"])
def test_half_of_what_a_dead_worker_left_is_not_taken_for_all_of_it(app: Flask, tmp_path: Path, side: int) -> None:
    """Two come at once and each gets one file, or the kernel has let only one of them go yet."""
    world.build(3)
    world.start()
    _, _, ids = begun(app)
    journals = [Journal(tmp_path / "j", OWNER, number) for number in (0, 1)]
    for journal, delivery_id in zip(journals, ids, strict=False):
        journal.about_to_send(delivery_id)
        journal.told(delivery_id, ACCEPTED)
    for journal in journals:
        die(journal)
    for path in sorted((tmp_path / "j").iterdir())[side::2]:
        with path.open("r+b") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert recovery.recover(tmp_path / "j", utc_now()) == 0
            assert world.states(db.session()) == {"sending": 3}
    assert recovery.recover(tmp_path / "j", utc_now()) == 1
    assert world.states(db.session()) == {"accepted": 2, "planned": 1}
    db.session.rollback()


def test_many_that_recover_at_once_find_each_dead_worker_whole(tmp_path: Path) -> None:
    folder, dead = tmp_path / "j", 20
    for number in range(dead):
        journal = Journal(folder, f"host:{number}:a")
        journal.about_to_send(1)
        journal.turn()
        journal.about_to_send(2)
        die(journal)
    together = threading.Barrier(4)

    def take(_: int) -> list[Remains]:
        together.wait()
        with remains(folder) as found:
            return found

    with ThreadPoolExecutor(4) as threads:
        found = [left for lot in threads.map(take, range(4)) for left in lot]
    assert sorted(left.owner for left in found) == sorted(f"host:{number}:a" for number in range(dead))
    assert all(left.dotted == {1, 2} for left in found)
    assert list(folder.iterdir()) == []


def test_the_last_commit_of_a_dead_worker_is_waited_for(app_on_each: Flask, tmp_path: Path) -> None:
    """It was killed while the database was writing that a group is begun: nothing of that has left."""
    world.build(10)
    world.start()
    ledger = Ledger(app_on_each, OWNER)
    die(Journal(tmp_path / "j", OWNER))
    writing, written = threading.Event(), threading.Event()

    def commit_late(session: Session) -> None:
        writing.set()
        assert written.wait(60)
        COMMIT(session)

    def recover() -> int:
        with app_on_each.app_context():
            return recovery.recover(tmp_path / "j", utc_now())

    with ThreadPoolExecutor(1) as dead, ThreadPoolExecutor(1) as next_one:
        lease = dead.submit(ledger.claim, bulk=True).result(60)
        assert lease is not None
        with mock.patch.object(Session, "commit", commit_late):
            begins = dead.submit(ledger.begin, lease, GROUP, {}, 0)
            assert writing.wait(60)
        recovers = next_one.submit(recover)
        assert not futures.wait([recovers], 0.5).done
        written.set()
        assert len(begins.result(60).messages) == 10
        assert recovers.result(60) == 1
        dead.submit(ledger.close).result(60)
    assert world.states(db.session()) == {"planned": 10}


def test_a_line_that_the_kill_cut_off_is_not_believed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", OWNER)
    journal.about_to_send(7)
    side = journal._sides[0]
    side._memory[side._end : side._end + 10] = b"< 7 accept"
    die(journal)
    with remains(tmp_path / "j") as found:
        assert found[0].dotted == {7}
        assert found[0].outcomes == {}


@given(
    st.lists(st.tuples(st.integers(1, 3_000), st.sampled_from(TOLD)), max_size=60),
    st.lists(st.tuples(st.integers(1, 3_000), st.sampled_from(TOLD)), max_size=60),
    st.sets(st.integers(0, 20)),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_a_power_cut_tore_is_not_believed(
    tmp_path: Path, earlier: list[tuple[int, Outcome]], later: list[tuple[int, Outcome]], kept: set[int]
) -> None:
    """A disk writes sectors in any order: of some it has the later content, of others still the earlier."""
    journal = Journal(tmp_path / "j", OWNER)
    for each in earlier:
        journal.told(*each)
    path = journal._sides[0].path
    before = path.read_bytes()
    journal.turn()
    journal.forget([])
    journal.turn()
    for each in later:
        journal.told(*each)
    after = path.read_bytes()
    die(journal)
    sectors = range(0, len(after), 512)
    torn = b"".join((before if at // 512 in kept else after)[at : at + 512] for at in sectors)
    path.write_bytes(torn)
    with remains(tmp_path / "j") as found:
        (left,) = found
    assert left.outcomes.items() <= set(earlier + later)


@given(st.binary(max_size=300) | st.text(st.sampled_from("<> 17-\n"), max_size=60).map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_content_of_a_journal_keeps_a_host_from_sending(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "host-1-a.0.0.journal"
    path.write_bytes(b"host:1:a boot\n" + content)
    with remains(tmp_path) as found:
        assert [left.owner for left in found] == [OWNER]
    assert not path.exists()


def test_a_journal_is_kept_when_the_ledger_cannot_be_told(tmp_path: Path) -> None:
    die(Journal(tmp_path / "j", OWNER))
    with pytest.raises(RuntimeError), remains(tmp_path / "j"):
        raise RuntimeError("the database is away")
    assert len(list((tmp_path / "j").iterdir())) == 2


def test_a_lease_that_ran_out_leaves_what_was_begun_unknown_and_the_rest_planned(app_on_each: Flask) -> None:
    world.build(GROUP + 20)
    world.start()
    begun(app_on_each)
    now = utc_now()
    with transaction() as session:
        assert recovery.reap(session, now) == 0, "the lease still stands"
        assert recovery.reap(session, now + datetime.timedelta(hours=1)) == 1
    assert world.states(db.session()) == {"unknown": GROUP, "planned": 20}


def test_a_worker_that_comes_back_after_its_lease_begins_nothing_but_is_believed(app_on_each: Flask) -> None:
    world.build(GROUP + 20)
    world.start()
    ledger, lease, ids = begun(app_on_each)
    with transaction() as session:
        session.execute(update(Chunk).values(leased_until=utc_now() - datetime.timedelta(seconds=1)))
        recovery.reap(session, utc_now())
    other = Ledger(app_on_each, "other:2:b")
    assert other.claim(bulk=True) is not None
    group = ledger.begin(lease, GROUP, {ids[0]: ACCEPTED}, 0)
    assert lease.exhausted, "the lease is another's now"
    assert group.messages == {}
    assert state_of(ids[0]) is DeliveryState.ACCEPTED, "late evidence closes an unknown"
    ledger.release(lease)
    assert db.session.scalars(select(Chunk.owner)).one() == "other:2:b"
    world.states(db.session())


def test_two_workers_never_lease_the_same_chunk(app_on_each: Flask) -> None:
    world.build(5)
    world.start()
    assert Ledger(app_on_each, OWNER).claim(bulk=True) is not None
    assert Ledger(app_on_each, "other:2:b").claim(bulk=True) is None
    with transaction() as session:
        session.execute(
            update(Chunk).values(not_before=utc_now() + datetime.timedelta(hours=1), state=ChunkState.READY)
        )
    assert Ledger(app_on_each, OWNER).claim(bulk=True) is None, "not before its time"


def test_what_a_forgetful_database_left_open_is_unknown_when_the_chunk_is_given_back(app_on_each: Flask) -> None:
    """Its worker has told all that it knew; a commit that was lost leaves deliveries that nobody would look at."""
    world.build(10)
    world.start()
    ledger, lease, ids = begun(app_on_each)
    ledger.settle(lease, dict.fromkeys(ids[:4], ACCEPTED), 0)
    ledger.release(lease)
    assert world.states(db.session()) == {"accepted": 4, "unknown": 6}
    assert ledger.claim(bulk=True) is None, "and the chunk is done"
    ledger.close()


def test_a_lease_that_the_database_kept_and_could_not_confirm_is_let_go(app_on_each: Flask) -> None:
    with mock.patch.object(planning, "CHUNK", 10):
        world.build(30)
        world.start()
    ledger = Ledger(app_on_each, OWNER)
    in_hand = ledger.claim(bulk=True)
    assert in_hand is not None
    with mock.patch.object(Session, "commit", _commit_and_fail), pytest.raises(OperationalError):
        ledger.claim(bulk=True)
    assert _leased() == 2
    again = ledger.claim(bulk=True)
    assert again is not None
    assert _leased() == 2, "the one in hand, and the one that was let go and taken again"
    assert len(ledger.begin(in_hand, GROUP, {}, 0).messages) == 10, "what is in hand stays there"
    assert len(ledger.begin(again, GROUP, {}, 0).messages) == 10


def test_so_is_it_by_a_worker_that_ends_before_it_claims_again(app_on_each: Flask) -> None:
    world.build(10)
    world.start()
    ledger = Ledger(app_on_each, OWNER)
    with mock.patch.object(Session, "commit", _commit_and_fail), pytest.raises(OperationalError):
        ledger.claim(bulk=True)
    assert _leased() == 1
    ledger.close()
    assert _leased() == 0


def test_a_chunk_that_its_worker_lost_and_took_again_is_in_hand(app_on_each: Flask) -> None:
    """The old lease is given back after the new one was taken: the new one is still held."""
    world.build(10)
    world.start()
    ledger, old, _ = begun(app_on_each)
    with transaction() as session:
        recovery.reap(session, utc_now() + datetime.timedelta(hours=1))
        session.execute(update(Chunk).values(not_before=utc_now()))
    new = ledger.claim(bulk=True)
    assert new is not None
    ledger.release(old)
    with mock.patch.object(Session, "commit", _commit_and_fail), pytest.raises(OperationalError):
        ledger.claim(bulk=True)
    assert ledger.claim(bulk=True) is None
    assert _leased() == 1, "nobody else may take it"


def _leased() -> int:
    db.session.rollback()
    return len(db.session.scalars(select(Chunk).where(Chunk.state == ChunkState.LEASED)).all())


def _commit_and_fail(session: Session) -> None:
    COMMIT(session)
    raise OperationalError("COMMIT", None, Exception("the connection was lost"))
