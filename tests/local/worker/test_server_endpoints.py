"""The endpoints of a job's servers, and what they do without a place for the limits that jobs share."""

from batchflow import settings
from batchflow.local.base.options import read
from batchflow.local.worker.lease import Unleased
from batchflow.local.worker.server_endpoints import ServerEndpoints

URL = "http://127.0.0.1:9/v1"


def servers(tmp_path, said, **options):
    context = settings.load(tmp_path, {"BATCHFLOW_HOME": str(tmp_path / "home")})
    return ServerEndpoints(read({"base_url": URL, **options}), context, Unleased(), said.append)


def test_limits_that_cannot_be_shared_are_kept_alone_and_told(tmp_path):
    said = []
    (tmp_path / "home").write_text("not a folder")
    one = servers(tmp_path, said, rps=5).open(URL)
    assert one.pace.claim(1) == 0.0
    assert one.pace.claim(1) > 0
    assert said[0].startswith("--rps and --tpm are kept for this job alone, not with other jobs of this machine: ")


def test_without_limits_there_is_no_pace_and_no_file(tmp_path):
    assert servers(tmp_path, []).open(URL).pace is None
    assert not (tmp_path / "home").exists()
