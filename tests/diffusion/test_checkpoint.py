"""Checkpoints: the same bits after an interruption, and files that are refused."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from causal_ddpm.core.errors import DataError, ModelFileError
from causal_ddpm.diffusion import checkpoint, fit, train
from causal_ddpm.diffusion.conditional import DiffusionSettings, TrainingGroup, train_conditional

QUICK = DiffusionSettings(n_steps=60, n_members=2, hidden_dim=8, batch_size=32, n_draws=2)


def group(n=90, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    return TrainingGroup(x, rng.integers(0, 2, n), rng.standard_normal(n))


GROUPS = [group(90, 0), group(80, 1)]


class Interrupted(Exception):
    pass


def interrupt_at(share):
    def progress(stage, done):
        if done >= share:
            raise Interrupted

    return progress


def weights(settings, **more):
    return train_conditional(GROUPS, settings, random_state=5, **more).weights


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(autouse=True)
def _write_at_every_block(monkeypatch):
    monkeypatch.setattr(checkpoint, "WRITE_EVERY", 0.0)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "kept"


def interrupted(settings, folder, share=0.6):
    kept = replace(settings, checkpoint_dir=str(folder))
    with pytest.raises(Interrupted):
        weights(kept, progress=interrupt_at(share))
    return kept


KINDS = {
    "steps": QUICK,
    "epochs": replace(QUICK, n_steps=None, n_epochs=20),
    "attention": replace(QUICK, backbone="attention", dim=8),
    "no dropout": replace(QUICK, dropout=0.0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_interrupted_training_ends_at_the_same_bits(kind, folder):
    whole = train_conditional(GROUPS, KINDS[kind], random_state=5)
    kept = interrupted(KINDS[kind], folder)
    again = train_conditional(GROUPS, kept, random_state=5)
    assert again.report["resumed_at_step"] > 0
    assert whole.report["resumed_at_step"] == 0
    assert_same_bits(again.weights, whole.weights)
    own = ("loss_trace", "final_loss", "held_out_loss", "best_epoch", "skipped_steps")
    assert [again.report.get(k) for k in own] == [whole.report.get(k) for k in own]


def test_twice_interrupted_training_ends_at_the_same_bits(folder):
    interrupted(QUICK, folder, 0.4)
    assert_same_bits(weights(interrupted(QUICK, folder, 0.8)), weights(QUICK))


def test_every_block_of_groups_has_a_checkpoint_of_its_own(folder, monkeypatch):
    monkeypatch.setitem(fit.ACTIVATION_FLOATS, "cpu", 1)  # one group a block
    whole = weights(QUICK)
    kept = interrupted(QUICK, folder, 0.9)
    assert len(list(folder.iterdir())) == 2
    steps, take = [], train._take_step
    monkeypatch.setattr(train, "_take_step", lambda *a: steps.append(1) or take(*a))
    assert_same_bits(weights(kept), whole)
    assert len(steps) < 60


def test_finished_training_is_not_done_again(folder, monkeypatch):
    kept = replace(QUICK, checkpoint_dir=str(folder))
    first = weights(kept)
    monkeypatch.setattr(train, "_take_step", lambda *a: pytest.fail("a step was taken"))
    assert_same_bits(weights(kept), first)


def test_checkpoints_leave_no_trace_in_the_model(folder):
    kept = replace(QUICK, checkpoint_dir=str(folder))
    model = train_conditional(GROUPS, kept, random_state=5)
    assert model.settings == QUICK
    assert_same_bits(model.weights, weights(QUICK))


OTHERS = {
    "settings": lambda k: train_conditional(GROUPS, replace(k, dropout=0.3), random_state=5),
    "seed": lambda k: train_conditional(GROUPS, k, random_state=6),
    "rows": lambda k: train_conditional([GROUPS[0], group(80, 2)], k, random_state=5),
    "names": lambda k: train_conditional([replace(GROUPS[0], name="a"), GROUPS[1]], k, 5),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_training_never_meets_the_checkpoint(what, folder):
    kept = interrupted(QUICK, folder)
    assert OTHERS[what](kept).report["resumed_at_step"] == 0
    assert len(list(folder.iterdir())) == 2


def only_file(folder):
    (path,) = folder.iterdir()
    return path


def test_a_renamed_checkpoint_is_refused(folder):
    kept = interrupted(QUICK, folder)
    mine = only_file(folder)
    weights(replace(kept, dropout=0.3))
    (other,) = set(folder.iterdir()) - {mine}
    other.replace(mine)
    with pytest.raises(ModelFileError, match="other rows, settings, seed or versions"):
        weights(kept)


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


DAMAGE = {
    "cut": lambda data: data[: len(data) // 2],
    "a bit of the contents": lambda data: flip(data, len(data) - 400),
    "a bit of the header": lambda data: flip(data, 60),
    "text": lambda data: b"hello",
    "empty": lambda data: b"",
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_checkpoint_is_refused(how, folder):
    kept = interrupted(QUICK, folder)
    path = only_file(folder)
    path.write_bytes(DAMAGE[how](path.read_bytes()))
    with pytest.raises(ModelFileError, match=r"is damaged|belongs to a training") as refused:
        weights(kept)
    assert "\n" not in str(refused.value)
    path.unlink()
    assert weights(kept)


def test_no_half_written_file_is_left(folder, monkeypatch):
    kept = replace(QUICK, checkpoint_dir=str(folder))

    def fail(tensors, path, note):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint, "save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        weights(kept)
    assert list(folder.iterdir()) == []


def test_writes_are_seconds_apart(folder, monkeypatch):
    monkeypatch.setattr(checkpoint, "WRITE_EVERY", 3600.0)
    written, write = [], checkpoint.CheckpointFile.write
    monkeypatch.setattr(
        checkpoint.CheckpointFile, "write", lambda *a: written.append(1) or write(*a)
    )
    weights(replace(QUICK, checkpoint_dir=str(folder)))
    assert len(written) == 1  # the finished state


def test_a_checkpoint_needs_a_seed(folder):
    with pytest.raises(DataError, match="without a random_state"):
        train_conditional(GROUPS, replace(QUICK, checkpoint_dir=str(folder)))


def test_folders_are_checked_with_the_settings(tmp_path):
    (tmp_path / "file").write_text("x")
    for name, words in (("file", "is a file"), ("no/such", "does not exist")):
        with pytest.raises(DataError, match=words):
            replace(QUICK, checkpoint_dir=str(tmp_path / name))
    with pytest.raises(DataError, match="checkpoint_dir is 3"):
        replace(QUICK, checkpoint_dir=3)


KILLED = """
import sys
from test_checkpoint import GROUPS, QUICK, checkpoint, replace, train_conditional
checkpoint.WRITE_EVERY = 0.0
settings = replace(QUICK, n_steps=100_000, checkpoint_dir=sys.argv[1])
train_conditional(GROUPS, settings, random_state=5)
"""


@pytest.mark.slow
def test_killed_training_ends_at_the_same_bits(folder, tmp_path, monkeypatch):
    """kill -9 in the middle; the number of steps is then cut to what a test can wait for."""
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(__file__)}
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], env=environment)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (folder.is_dir() and list(folder.glob("[!.]*"))):
        time.sleep(0.05)
    time.sleep(2.0)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    long = replace(QUICK, n_steps=100_000)
    seen = []

    def stop(run, *rest):
        seen.append(run.step)
        if len(seen) > 400:
            raise Interrupted
        return take(run, *rest)

    take = train._take_step
    monkeypatch.setattr(train, "_take_step", stop)
    with pytest.raises(Interrupted):
        weights(replace(long, checkpoint_dir=str(folder)))
    reached = seen[-1]
    assert seen[0] > 0
    assert_same_states(folder, tmp_path / "whole", long, reached, monkeypatch, take)


def assert_same_states(resumed, fresh, settings, reached, monkeypatch, take):
    """The resumed run's last state equals that of a run that was never killed."""

    def stop(run, *rest):
        if run.step >= reached:
            raise Interrupted
        return take(run, *rest)

    monkeypatch.setattr(train, "_take_step", stop)
    with pytest.raises(Interrupted):
        weights(replace(settings, checkpoint_dir=str(fresh)))
    left, right = (only_file(f).read_bytes() for f in (resumed, fresh))
    assert left == right
