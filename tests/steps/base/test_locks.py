import socket
from concurrent.futures import ThreadPoolExecutor

from batchflow.steps.base.locks import here, host_of


def test_a_folder_keeps_its_mark_and_another_has_its_own(tmp_path):
    first = here(tmp_path / "a")
    assert here(tmp_path / "a") == first
    assert here(tmp_path / "b") != first  # two people on one host: they do not see one another's locks
    assert host_of(first) == socket.gethostname()


def test_first_commands_side_by_side_draw_one_mark(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: here(tmp_path), range(8)))) == 1


def test_a_mark_cut_by_a_kill_is_drawn_anew(tmp_path):
    here(tmp_path)
    mark = tmp_path / ".locks" / "place"
    mark.write_text(mark.read_text()[:5])
    assert here(tmp_path) == here(tmp_path)
    assert len(mark.read_text()) == 16
