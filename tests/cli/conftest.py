import pandas as pd
import pytest

from causal_ddpm.cli.main import run
from causal_ddpm.dgp.ai_adoption import simulate

ROLES = [
    "--treatment", "ai_adoption", "--outcome", "productivity",
    "--confounders", "industry_size,rd_intensity,education",
]  # fmt: skip


@pytest.fixture(scope="session")
def frame():
    """Rows as they lie in a user's file."""
    return simulate(160, 3).frame


@pytest.fixture
def firms(tmp_path, frame):
    """A CSV file that nothing marks as simulated."""
    path = tmp_path / "firms.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def command(capsys):
    """Run the command line in this process: exit code, stdout, stderr."""

    def call(*arguments):
        capsys.readouterr()
        code = run([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def refused(command):
    """Run a command on a file that must be refused; the sentence."""

    def call(path, *arguments, code=2, roles=ROLES, name="estimate"):
        found, out, err = command(name, path, *roles, *arguments)
        assert found == code, err
        assert out == ""
        assert "Traceback" not in err
        assert len(err.strip().splitlines()) == 1
        return err

    return call


@pytest.fixture
def csv(tmp_path, frame):
    """Write the rows after a change of their columns."""

    def write(**columns):
        path = tmp_path / "changed.csv"
        pd.DataFrame({**frame, **columns}).to_csv(path, index=False)
        return path

    return write
