"""A gateway of batchflow.toml: OpenAI's protocol on a server of one's own, with the manners of real gateways."""

from __future__ import annotations

import json
from contextlib import nullcontext

import pytest
from helpers.commands import IMPATIENT, Project, dataset
from helpers.gateway import gateway
from helpers.rehearsed import rehearsed

from batchflow.errors import VendorError
from batchflow.gateways import Gateway
from batchflow.records import Job
from batchflow.rehearsal.fake_state import Pace, Stand
from batchflow.settings import Settings
from batchflow.vendors.shared.gateway import vendor_of

KEY = "CLUSTER_KEY"


@pytest.fixture
def cluster(tmp_path):
    """A project whose gateway `cluster` is the rehearsed OpenAI; OpenAI itself has neither key nor address."""
    with rehearsed(tmp_path) as up:
        environment, project = up.project.environment, up.project
        url = environment.pop("OPENAI_BASE_URL")
        environment[KEY] = environment.pop("OPENAI_API_KEY")
        toml = f'{IMPATIENT}[gateways.cluster]\nbase_url = "{url}"\nkey = "{KEY}"\nrequests = 3\n'
        project.toml = toml
        (project.folder / "batchflow.toml").write_text(toml)
        up.prepared = ("--provider", "cluster", "--model", "gpt-6-luna", "--name", "b", "--dataset", "b-data.jsonl")
        yield up


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


def prepare(cluster, count=4):
    dataset(cluster.project.folder / "b-data.jsonl", count=count)
    return cluster.project.ok("prepare", *cluster.prepared)


def collect(cluster):
    cluster.project.run("get", "b", "--refresh-after", 0)
    return cluster.project.ok("results", "b")["outcomes"]


def test_a_gateway_goes_the_way_of_any_vendor_to_a_score(cluster):
    assert len(prepare(cluster)["files"]) == 2  # its own limit
    cluster.project.ok("start", "b")
    assert collect(cluster) == {"ok": 4}
    (judge,) = cluster.project.ok("jury", "b", "--judges", "cluster:gpt-6-sol", "--start")["batches"]
    cluster.project.run("get", judge["name"], "--refresh-after", 0)
    cluster.project.ok("results", judge["name"])
    assert cluster.project.ok("score", "b")["n_judged"] == 4
    assert len(cluster.site.creates) == 4


MONEY = """
[limits.cluster]
enqueued_requests = 4
[prices.cluster."*"]
input = 2000.0
output = 10000.0
"""


def test_its_own_prices_and_limits_hold_and_the_real_openai_judges_beside_it(cluster):
    project, environment = cluster.project, cluster.project.environment
    (project.folder / "batchflow.toml").write_text(project.toml + MONEY)
    cluster.site.pace = Pace(3)
    estimate = prepare(cluster, count=6)["estimate"]
    assert estimate["high_usd"] > estimate["low_usd"] > 0.0
    assert "price unknown" not in project.run("estimate", "b").out
    refused = project.refused(6, "start", "b", "--max-cost", estimate["low_usd"] / 2)
    assert "more than --max-cost" in refused
    started = project.ok("start", "b", "--max-cost", estimate["high_usd"] * 1.1)
    assert (started["sent_now"], started["waiting"]) == (1, 1)  # 3 of 4 requests are out
    assert "no room in cluster's queue: 3 of 4 enqueued requests are taken" in started["jobs"][1]["error"]
    looked(project, "b")
    assert project.ok("start", "b")["sent_now"] == 1
    looked(project, "b")
    assert len(cluster.site.creates) == 2
    cost = project.ok("results", "b")["cost"]
    assert estimate["low_usd"] < cost["usd"] < estimate["high_usd"]
    assert cost["source"] == ["[prices] of batchflow.toml"]
    environment["OPENAI_API_KEY"], environment["OPENAI_BASE_URL"] = environment[KEY], base_url(project.toml)
    (judge,) = project.ok("jury", "b", "--judges", "openai:gpt-6-sol", "--start")["batches"]
    looked(project, judge["name"])
    assert "genai-prices" in project.ok("results", judge["name"])["cost"]["source"][0]
    assert project.ok("score", "b")["n_judged"] == 6


def looked(project, name):
    for _ in range(3):
        project.run("get", name, "--refresh-after", 0)


def base_url(toml):
    return toml.partition('base_url = "')[2].partition('"')[0]


def test_bodies_as_text_and_rows_of_a_failed_batch_are_answers(cluster):
    prepare(cluster, count=2)
    cluster.project.ok("start", "b")
    cluster.project.run("get", "b", "--refresh-after", 0)
    output = cluster.output()
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    for row in rows:
        row["response"]["body"] = json.dumps(row["response"]["body"])
    output.write_text("".join(json.dumps(row) + "\n" for row in rows))
    cluster.site.jobs("openai")[0].stand = Stand.FAILED
    assert cluster.project.ok("results", "b")["outcomes"] == {"ok": 2}


def test_a_lost_create_is_found_by_its_upload_where_the_gateway_drops_metadata(cluster):
    prepare(cluster, count=2)
    cluster.fault("reset", call="create", when="after")
    make = cluster.site.create

    def without_tags(*args, **facts):
        return make(*args, **facts | {"tags": {}})

    cluster.site.create = without_tags
    cluster.project.ok("start", "b")
    assert len(cluster.site.creates) == 1
    assert collect(cluster) == {"ok": 2}


def test_its_key_is_needed_and_never_shown(cluster):
    prepare(cluster)
    key = cluster.project.environment.pop(KEY)
    assert KEY in cluster.project.refused(2, "start", "b")
    cluster.project.environment[KEY] = "wrong-key-of-the-cluster"
    ran = cluster.project.run("start", "b")
    assert ran.code != 0
    assert "wrong-key" not in ran.out + ran.err
    cluster.project.environment[KEY] = key
    cluster.project.ok("start", "b")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[gateways.openai]\nbase_url = "http://x/v1"\n', "is a provider's name already"),
        ('[gateways."a b"]\nbase_url = "http://x/v1"\n', "not a name"),
        ("[gateways]\ncluster = 3\n", "has to be a table"),
        ('[gateways.cluster]\nkey = "K"\n', "base_url has to be an http(s) URL"),
        ('[gateways.cluster]\nbase_url = "ftp://x"\n', "base_url has to be an http(s) URL"),
        ('[gateways.cluster]\nbase_url = "http://x/v1"\nwindow = "1h"\n', "unknown key 'window'"),
        ('[gateways.cluster]\nbase_url = "http://x/v1"\nwindows = "1h"\n', "has to be a list of texts"),
        ('[gateways.cluster]\nbase_url = "http://x/v1"\nrequests = 0\n', "has to be a whole number above 0"),
        ("[gateways.cluster]\nbase_url = 3\n", "has to be a text"),
        ('[gateways.cluster]\nbase_url = "http://me:pw@x/v1"\n', "holds a user name or a password"),
    ],
)
def test_a_faulty_table_is_refused_before_anything_is_made(project, table, said):
    (project.folder / "batchflow.toml").write_text(table)
    assert said in project.refused(2, "prepare", "--split", "llm", "--provider", "cluster", "--model", "m")


def test_its_windows_and_endpoints_are_those_of_the_table(project):
    project.toml += '[gateways.cluster]\nbase_url = "http://x/v1"\nwindows = ["24h", "7d"]\n'
    (project.folder / "batchflow.toml").write_text(
        f'{project.toml}endpoints = ["/v1/chat/completions", "/v1/completions"]\n'
    )
    given = ("prepare", "--split", "llm", "--limit", 1, "--provider", "cluster", "--model", "m")
    assert project.ok(*given, "--name", "week", "--completion-window", "7d")["requests"] == 1
    assert "use 24h or 7d" in project.refused(2, *given, "--completion-window", "1h")
    assert "/v1/completions takes others" in project.refused(2, *given, "--endpoint", "/v1/completions")
    assert "use /v1/chat/completions" in project.refused(2, *given, "--endpoint", "/v1/embeddings")


def test_an_unknown_provider_is_told_how_to_become_one(project):
    assert "no provider is called 'clutser'" in project.refused(2, "prepare", "--provider", "clutser", "--model", "m")


@pytest.mark.parametrize(
    ("manner", "seen"),
    [((), "batch-0"), (("offsets",), "batch-0"), (("one page",), "says that more than 100 follow, and shows none")],
)
def test_a_lost_create_is_looked_for_on_every_page_of_the_list(tmp_path, manner, seen):
    """llm-d-batch-gateway's list goes on by number; that of vLLM's production stack says that it does."""
    with gateway(*manner) as (url, held):
        for number in range(150):
            batch_id = f"batch-{number}"
            held[batch_id] = {"id": batch_id, "input_file_id": f"file-{number}", "metadata": None}
        job = Job("n", tmp_path, "", 1, "m", "/v1/chat/completions", "t", "n", 0.0, remote_file="file-0")
        vendor = vendor_of(Gateway(name="cluster", base_url=url))
        client = vendor.connect(Settings(tmp_path, tmp_path, "", file={"gateways": {"cluster": {"base_url": url}}}))
        with client, pytest.raises(VendorError, match=seen) if manner == ("one page",) else nullcontext():
            assert vendor.find(client, job).ids == (seen,)
