"""Arithmetic mode and devices."""

import pytest
import torch

from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.runtime import denormals_are_flushed, quick_arithmetic, resolve_device


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_state_is_restored():
    flushed = denormals_are_flushed()
    with quick_arithmetic():
        assert torch.get_num_threads() == 1
        assert denormals_are_flushed()
        with quick_arithmetic():
            assert torch.get_num_threads() == 1
        assert denormals_are_flushed()
    assert torch.get_num_threads() == 2
    assert denormals_are_flushed() == flushed


@pytest.mark.usefixtures("two_threads")
def test_state_is_restored_after_an_error():
    with pytest.raises(RuntimeError, match="inside"), quick_arithmetic():
        raise RuntimeError("inside")
    assert torch.get_num_threads() == 2


def test_device():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert resolve_device("auto").type == expected
    assert resolve_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["tpu9", "meta", ""])
def test_unknown_device(name):
    with pytest.raises(DataError, match="expected 'auto', 'cpu' or 'cuda'"):
        resolve_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_absent_gpu_gets_a_sentence():
    with pytest.raises(DataError, match="torch sees no CUDA device"):
        resolve_device("cuda")
