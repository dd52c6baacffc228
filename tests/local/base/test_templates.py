import pytest

from batchflow.errors import UsageError
from batchflow.local.base import templates


@pytest.mark.parametrize("name", ["r1", "qwen", "internthinker", "chatml"])
def test_the_built_in_templates_hold_the_text_and_stop_somewhere(name):
    template = templates.load(name)
    assert template.render("", "a {system} {input} b").count("a {system} {input} b") == 1
    assert template.stop


def test_a_system_text_goes_to_its_place_or_in_front():
    own = "You are a helpful assistant."
    assert templates.load("qwen").render("SYS", "U").startswith(f"<|im_start|>system\n{own}\n\nSYS<|im_end|>")
    assert templates.load("qwen").render("", "U").startswith(f"<|im_start|>system\n{own}<|im_end|>")
    assert "expert reasoner" in templates.load("internthinker").render("SYS", "U")  # every task has a system text
    assert "SYS\n\nU" in templates.load("chatml").render("SYS", "U")


def test_a_template_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('prompt = "<u>{input}<a>"\nstop = ["</a>"]\n')
    assert templates.load(str(path)).render("", "x") == "<u>x<a>"
    wrong = ("stop = 5", "stop = [5]", 'stop = [""]', "system = 5")
    for text in (
        'prompt = "no place"',
        "prompt = 5",
        "stop = []",
        "not toml",
        *(f"prompt = '{{input}}'\n{w}" for w in wrong),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match="mine"):
            templates.load(str(path))


def test_one_stop_word_is_a_word_and_not_its_letters(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('prompt = "{input}"\nstop = "END"\n')
    assert templates.load(str(path)).stop == ("END",)


def test_a_settled_template_needs_its_file_no_more(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('prompt = "{system}|{input}|"\nstop = ["a", "b"]\nsystem = "S"\n')
    kept, meant = templates.settled(str(path)), templates.load(str(path))
    path.unlink()
    assert templates.load(kept) == meant
    assert templates.settled("r1") == "r1"
    assert templates.settled(kept) == kept


@pytest.mark.parametrize("name", ["{", "{}", '{"prompt": 5}', "{x.toml"])
def test_a_name_that_only_looks_like_a_settled_one_is_refused(name):
    with pytest.raises(UsageError):
        templates.load(name)
