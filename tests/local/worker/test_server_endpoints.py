"""The endpoints of a job's servers, and what they do without a place for the limits that jobs share."""

from batchflow import settings
from batchflow.local.base.options import read
from batchflow.local.worker.lease import Unleased
from batchflow.local.worker.server_endpoints import ServerEndpoints

URL = "http://127.0.0.1:9/v1"


def servers(tmp_path, said, **options):
    context = settings.load(tmp_path, {"BATCHFLOW_HOME": str(tmp_path / "home")})
    options = read({"base_url": URL, **options})
    return ServerEndpoints(options, "m", context, Unleased(), said.append, tmp_path / "pool.json")


def test_limits_that_cannot_be_shared_are_kept_alone_and_told(tmp_path):
    said = []
    (tmp_path / "home").write_text("not a folder")
    opened = servers(tmp_path, said, rps=5)
    opened.open_own()
    (one,) = opened.all
    assert one.pace.claim(1) == 0.0
    assert one.pace.claim(1) > 0
    assert said[0].startswith("--rps and --tpm are kept for this job alone, not with other jobs of this machine: ")


def test_without_limits_there_is_no_pace_and_no_file(tmp_path):
    opened = servers(tmp_path, [])
    opened.open_own()
    assert [one.pace for one in opened.all] == [None]
    assert not (tmp_path / "home").exists()
